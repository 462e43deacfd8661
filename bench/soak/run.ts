// `npm run soak -- [SECONDS] [DETECT_WITHIN] [CLIENTS]`
//
// Clients connect, read at all paces, leave in every way, vanish, are cut off for a while and
// reconnect, for as long as you like. The run fails if a stream is closed late or without cause, if
// an event is lost, repeated or wrongly reported as delivered, or if memory grows.
import { livenessPlan } from 'tcp-sse'
import { createRig } from 'tcp-sse/testing'
import { commandLine, describeMachine, machine } from '../report/machine.js'
import type { Fault, Final, Tally } from './clients.js'
import type { Account, Closed } from './server.js'

const [seconds = 300, detectWithin = 5_000, count = 100] = process.argv.slice(2).map(Number)
/** How long after its deadline a vanished client's address is used again. */
const MARGIN = 2_500
const REPORT = 30_000
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`
const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds))

console.log(
  `${describeMachine(machine(commandLine('soak')))} ${seconds} s, D = ${detectWithin} ms, ${count} clients`,
)
const rig = createRig()
const here = (name: string): URL => new URL(`./${name}.ts`, import.meta.url)
const server = rig.spawnServer(here('server'), {
  DETECT_WITHIN: String(detectWithin),
  NODE_OPTIONS: '--expose-gc',
})
const clients = rig.spawnClients(here('clients'))

/** Clients that vanished, by the name of their connection. */
const vanished = new Map<string, { at: number; closed?: Closed; last?: number }>()
/** Other streams that have ended. A client may be about to vanish from one. */
const ended = new Set<string>()
const healAt: { index: number; key: string; from: number; at: number }[] = []
/** Clients whose outage was longer than is tolerated. */
const overlong = new Set<string>()
/** By client: when it was cut off, and for how many milliseconds. */
const outages = new Map<string, { from: number; lasted: number }>()
const times: number[] = []
const found = { late: [] as string[], falseKills: [] as string[], over: [] as string[] }
let checked = 0

try {
  const first = await soak()
  await report(first)
} finally {
  rig.close()
}
process.exit(process.exitCode)

async function soak(): Promise<Account> {
  const port = await server.call<number>('listen')
  const addresses = Array.from({ length: count }, (_, index) => rig.clientAddress(index))
  await clients.call('start', { host: rig.serverAddress, port }, addresses)
  let first: Account | undefined
  let nextReport = Date.now() + REPORT
  const end = Date.now() + seconds * 1_000
  while (Date.now() < end) {
    await pause(100)
    await turn()
    if (Date.now() < nextReport) continue
    nextReport += REPORT
    const account = await server.call<Account>('account')
    // The first sample is taken when all caches are filled.
    first ??= account
    await progress(account, end)
    for (const each of found.falseKills) console.log(`  ${each}`)
  }
  await clients.call('stop')
  // Those that vanished last get their time, too.
  for (let left = detectWithin + 2 * MARGIN; left > 0; left -= 100) {
    await pause(100)
    await turn()
  }
  await server.call('stop')
  return first ?? (await server.call<Account>('account'))
}

/** Makes the faults that clients request, ends those that are over, and checks what was closed. */
async function turn(): Promise<void> {
  const asked = await clients.call<Fault[]>('faults')
  const gone = asked.filter(({ kind }) => kind === 'vanish')
  if (asked.length > 0) {
    const { startedAt } = rig.cut(asked.map(({ index }) => index))
    for (const { key } of gone) if (!ended.has(key)) vanished.set(key, { at: startedAt })
    for (const { index, kind, key } of asked) {
      healAt.push({ index, key, from: startedAt, at: startedAt + lengthOf(kind) })
    }
    await clients.call(
      'vanished',
      gone.map(({ index }) => index),
    )
  }
  await heal()
  for (const closed of await server.call<Closed[]>('closed')) judge(closed)
  for (const { key, last } of await clients.call<Final[]>('finals')) {
    const one = vanished.get(key)
    if (one !== undefined) one.last = last
  }
  for (const [key, one] of vanished) settle(key, one)
}

function lengthOf(kind: Fault['kind']): number {
  if (kind === 'vanish') return detectWithin + MARGIN
  return livenessPlan(detectWithin).toleratedOutage * Math.random() * 0.9
}

async function heal(): Promise<void> {
  const due = healAt.filter(({ at }) => at <= Date.now())
  if (due.length === 0) return
  const indexes = due.map(({ index }) => index)
  for (const each of due) healAt.splice(healAt.indexOf(each), 1)
  rig.heal(indexes)
  // A busy machine heals late, so the outage was longer than is tolerated.
  const { toleratedOutage } = livenessPlan(detectWithin)
  for (const { key, from } of due) {
    const lasted = Date.now() - from
    outages.set(key, { from, lasted })
    if (lasted > toleratedOutage) overlong.add(key)
  }
  await clients.call('healed', indexes)
}

function judge(closed: Closed): void {
  const one = vanished.get(closed.key)
  if (one !== undefined) {
    one.closed = closed
    return
  }
  ended.add(closed.key)
  if (closed.reason === 'peer-dead' && !overlong.has(closed.key))
    found.falseKills.push(
      `${closed.key} at ${closed.at}, outage ${JSON.stringify(outages.get(closed.key))}: ${closed.evidence}`,
    )
}

function settle(key: string, one: { at: number; closed?: Closed; last?: number }): void {
  const { at, closed, last } = one
  if (closed === undefined) {
    if (Date.now() - at < detectWithin + 20_000) return
    found.late.push(`${key} not closed`)
    vanished.delete(key)
    return
  }
  if (last === undefined) return
  vanished.delete(key)
  const took = closed.at - at
  // It ended by itself while the cut was being made.
  if (took < 0) return
  times.push(took)
  checked++
  if (took > detectWithin + 1_000) found.late.push(`${key} after ${took} ms as ${closed.reason}`)
  if ((closed.delivered ?? 0) > last) {
    found.over.push(`${key}: ${closed.delivered} delivered, ${last} seen`)
  }
}

async function progress(account: Account, end: number): Promise<void> {
  const { heap, rss, subscribers, problems } = account
  const { sessions, events, gaps, doubles, garbled } = await clients.call<Tally>('tally')
  const parts = [
    `${Math.max(0, Math.round((end - Date.now()) / 1_000))} s left`,
    `heap ${megabytes(heap)}, rss ${megabytes(rss)}`,
    `${subscribers} streams, ${sessions} sessions, ${events} events`,
    `vanished ${times.length}, late ${found.late.length}, false ${found.falseKills.length}`,
    `gaps ${gaps}, doubles ${doubles}, garbled ${garbled}, over-reports ${found.over.length}`,
    `problems ${problems.length}`,
  ]
  console.log(parts.join('; '))
}

async function report(first: Account): Promise<void> {
  const last = await server.call<Account>('account')
  const tally = await clients.call<Tally>('tally')
  const { gaps, doubles, garbled, sessions, events, left } = tally
  const sorted = times.sort((a, b) => a - b)
  const { late, falseKills, over } = found
  // Still not closed, although the loop above has waited long enough.
  for (const key of vanished.keys()) late.push(`${key} not settled`)
  console.log(`sessions ${sessions}, events ${events}, left by ${JSON.stringify(left)}`)
  console.log(`closed as ${JSON.stringify(last.reasons)}, replays ${JSON.stringify(last.replays)}`)
  console.log(
    `vanished ${sorted.length}: closed after ${sorted[0]} / ${sorted[sorted.length >> 1]} / ${sorted.at(-1)} ms; delivery checked ${checked} times`,
  )
  console.log(
    `heap ${megabytes(first.heap)} -> ${megabytes(last.heap)}, rss ${megabytes(first.rss)} -> ${megabytes(last.rss)}, external ${megabytes(first.external)} -> ${megabytes(last.external)}`,
  )
  console.log(
    `streams left ${last.subscribers}, open confirmations ${last.openConfirmations}, sockets left ${rig.serverSockets().length}`,
  )
  console.log(
    `late ${late.length}, false ${falseKills.length}, gaps ${gaps}, doubles ${doubles}, garbled ${garbled}, over-reports ${over.length}, problems ${last.problems.length}`,
  )
  const bad = [...late, ...falseKills, ...over, ...tally.first, ...last.problems]
  for (const each of bad.slice(0, 20)) console.log(`  ${each}`)
  if (bad.length > 0) process.exitCode = 1
}
