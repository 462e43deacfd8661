// Draws the samples that the server sends. Data of clients is set as text, never as markup.

/** Each verdict has its own sign, because not all users can distinguish the colors. */
const SIGNS = { alive: '●', congested: '▲', slow: '◆', 'half-closed': '◐', dead: '✕' }
const SAMPLES = 60
const SVG = 'http://www.w3.org/2000/svg'

const byId = (id) => document.getElementById(id)
const liveBody = document.querySelector('#live tbody')
const endedBody = document.querySelector('#ended tbody')
const channelsBody = document.querySelector('#channels tbody')

/** The rows that are shown, by the connection's number. */
const rows = new Map()
const chips = new Map()
let actions = []
let interval = 1000
let paused = false
let wanted = ''
let latest

const source = new EventSource('events')
source.addEventListener('hello', ({ data }) => {
  const hello = JSON.parse(data)
  actions = hello.actions
  interval = hello.interval
  byId('actions-head').hidden = actions.length === 0
  for (const each of [...rows.keys()]) forget(each)
})
source.addEventListener('sample', ({ data }) => {
  const sample = JSON.parse(data)
  // The list of ended connections is sent only when it has changed.
  sample.ended ??= latest?.ended ?? []
  latest = sample
  if (!paused) draw(sample)
})
source.addEventListener('open', () => say('live'))
source.addEventListener('error', () =>
  say(
    source.readyState === EventSource.CLOSED
      ? 'refused: too many pages are open, or access is denied'
      : 'connection lost, reconnecting',
  ),
)

byId('pause').addEventListener('click', () => {
  paused = !paused
  byId('pause').setAttribute('aria-pressed', String(paused))
  say(paused ? 'paused' : 'live')
  if (!paused && latest !== undefined) draw(latest)
})

for (const [verdict, sign] of Object.entries(SIGNS)) {
  const chip = element('button', `${sign} ${verdict}`, verdict)
  const count = element('b', '0')
  chip.type = 'button'
  chip.setAttribute('aria-pressed', 'false')
  chip.append(count)
  chip.addEventListener('click', () => {
    wanted = wanted === verdict ? '' : verdict
    for (const [name, each] of chips)
      each.chip.setAttribute('aria-pressed', String(name === wanted))
    if (latest !== undefined) draw(latest)
  })
  chips.set(verdict, { chip, count })
  byId('verdicts').append(chip)
}

function draw(sample) {
  byId('count').textContent = `${sample.live} live`
  for (const [verdict, { count }] of chips) count.textContent = String(sample.verdicts[verdict])
  const hidden = sample.live - sample.rows.length
  byId('more').textContent = hidden > 0 ? `(${hidden} more not shown)` : ''
  const seen = new Set()
  for (const each of sample.rows) {
    seen.add(each.id)
    const row = rows.get(each.id) ?? addRow(each.id)
    fill(row, each)
  }
  for (const id of [...rows.keys()]) if (!seen.has(id)) forget(id)
  drawChannels(sample)
  drawEnded(sample)
}

function addRow(id) {
  const tr = document.createElement('tr')
  tr.dataset.id = String(id)
  const cells = {}
  for (const name of [
    'id',
    'label',
    'verdict',
    'rtt',
    'rtts',
    'pending',
    'unsent',
    'unacked',
    'waits',
  ]) {
    cells[name] = cell(tr, name)
  }
  for (const name of ['lastAck', 'delivered', 'age']) cells[name] = cell(tr, name)
  const row = {
    tr,
    cells,
    rtts: [],
    waits: [],
    rttLine: spark(cells.rtts),
    waitLine: spark(cells.waits),
  }
  if (actions.length > 0) {
    const last = cell(tr, 'actions')
    for (const action of actions) last.append(actionButton(id, action))
  }
  cells.id.textContent = String(id)
  rows.set(id, row)
  // Rows are in the order of opening, also if a connection is shown again.
  const after = [...liveBody.children].find((each) => Number(each.dataset.id) > id)
  liveBody.insertBefore(tr, after ?? null)
  return row
}

function cell(tr, name) {
  const td = document.createElement('td')
  td.className = ['label', 'verdict', 'rtts', 'waits', 'actions'].includes(name) ? name : 'number'
  td.dataset.column = name
  tr.append(td)
  return td
}

function fill(row, each) {
  const { cells, tr } = row
  tr.hidden = wanted !== '' && each.verdict !== wanted
  setVerdict(cells.verdict, each.verdict)
  setText(cells.label, each.label || '–')
  cells.label.title = each.label
  setText(cells.rtt, each.rtt === undefined ? '–' : `${each.rtt.toFixed(1)} ms`)
  setText(cells.pending, bytes(each.pending))
  setText(cells.unsent, bytes(each.unsent))
  setText(cells.unacked, bytes(each.unacked))
  setText(cells.lastAck, duration(each.lastAck))
  cells.lastAck.title = each.lastEcho === undefined ? '' : `last echo: ${duration(each.lastEcho)}`
  setText(cells.delivered, each.delivered ?? '–')
  setText(cells.age, duration(each.age))
  remember(row.rtts, each.rtt ?? 0)
  remember(row.waits, each.pending + (each.unsent ?? 0) + (each.unacked ?? 0))
  row.rttLine.setAttribute('points', points(row.rtts, 1))
  row.waitLine.setAttribute('points', points(row.waits, 1024))
}

function forget(id) {
  rows.get(id)?.tr.remove()
  rows.delete(id)
}

function drawEnded({ ended, reasons, at }) {
  const list = Object.entries(reasons).sort((a, b) => b[1] - a[1])
  byId('reasons').textContent = joined(list)
  const lines = [...ended].reverse().map((each) => {
    const tr = document.createElement('tr')
    tr.dataset.id = String(each.id)
    const texts = [
      ['number', String(each.id)],
      ['label', each.label || '–'],
      ['verdict', ''],
      ['reason', each.reason],
      ['number', each.delivered ?? '–'],
      ['number', duration(each.openedFor)],
      ['number', ago(at, each)],
      ['error', each.message],
    ]
    for (const [name, text] of texts) tr.append(element('td', text, name))
    setVerdict(tr.children[2], each.verdict)
    return tr
  })
  endedBody.replaceChildren(...lines)
}

/** Channels with a hub: their states, the outcomes of broadcasts and replays, and the last troubles. */
function drawChannels({ channels, at }) {
  byId('channels').hidden = channels === undefined
  if (channels === undefined) return
  const { published, resumed, reads, gaps, troubles } = channels
  setText(byId('channel-states'), counts(channels.channels))
  const done = [`broadcasts: ${counts(published)}`, `replays: ${counts(resumed)}`]
  setText(byId('channel-counts'), [...done, `reads: ${reads}`, `gaps: ${gaps}`].join(' | '))
  const lines = [...troubles].reverse().map((each) => {
    const tr = document.createElement('tr')
    const others = each.count > 1 ? ` and ${each.count - 1} more` : ''
    tr.append(element('td', each.channel + others, 'label'), element('td', each.what))
    tr.append(element('td', each.cause, 'error'))
    tr.children[2].title = each.cause
    tr.append(element('td', ago(at, each), 'number'))
    return tr
  })
  channelsBody.replaceChildren(...lines)
}

/** The counts that are not 0. */
function counts(all) {
  const some = Object.entries(all).filter(([, count]) => count > 0)
  return joined(some) || 'none'
}

/** `live 3 · down 1`, from pairs. */
function joined(pairs) {
  return pairs.map(([name, count]) => `${name} ${count}`).join(' · ')
}

function setVerdict(td, verdict) {
  td.className = `verdict ${verdict in SIGNS ? verdict : ''}`
  setText(td, `${SIGNS[verdict] ?? '?'} ${verdict}`)
}

/**
 * Leaves unchanged cells alone: the browser need not draw them, and a screen reader does not read
 * them out.
 */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text
}

function element(name, text, className = '') {
  const made = document.createElement(name)
  made.textContent = text
  made.className = className
  return made
}

function actionButton(id, action) {
  const button = element('button', action)
  button.type = 'button'
  button.setAttribute('aria-label', `${action}: connection ${id}`)
  button.addEventListener('click', async () => {
    const query = new URLSearchParams({ id: String(id), action })
    const headers = { 'x-tcp-sse': 'dashboard' }
    const { ok, status } = await fetch(`action?${query}`, { method: 'POST', headers })
    say(ok ? `${action}: connection ${id}` : `${action}: connection ${id}: refused (${status})`)
  })
  return button
}

function spark(td) {
  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('viewBox', `0 0 ${SAMPLES - 1} 20`)
  svg.setAttribute('preserveAspectRatio', 'none')
  svg.setAttribute('aria-hidden', 'true')
  const line = document.createElementNS(SVG, 'polyline')
  svg.append(line)
  td.append(svg)
  return line
}

function remember(samples, value) {
  samples.push(value)
  if (samples.length > SAMPLES) samples.shift()
}

/**
 * The newest value is at the right. The scale is from 0 to the highest value, or to `least` if all
 * values are lower.
 */
function points(samples, least) {
  const top = Math.max(least, ...samples)
  const from = SAMPLES - samples.length
  return samples
    .map((value, at) => `${from + at},${(19 - (value / top) * 18).toFixed(1)}`)
    .join(' ')
}

function bytes(count) {
  if (count === undefined) return '–'
  if (count < 1_000) return `${count} B`
  return count < 1_000_000
    ? `${(count / 1_000).toFixed(1)} KB`
    : `${(count / 1_000_000).toFixed(2)} MB`
}

/** How long ago something was at the time of a sample. The clock may have been set back. */
function ago(now, { at }) {
  return `${duration(Math.max(0, now - at))} ago`
}

function duration(ms) {
  if (ms === undefined) return '–'
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`
  const minutes = Math.floor(ms / 60_000)
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1_000)} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

function say(text) {
  byId('status').textContent = text === 'live' ? `live, every ${duration(interval)}` : text
}
