// Formats the table of `tcp-sse top`.
import type { PeerSnapshot } from '../port-guard/peer.js'

/** The order of the table: trouble first. */
const ORDER = ['dead', 'half-closed', 'slow', 'congested', 'alive'] as const

/** Sorts by verdict, then by the length of the silence, then by the bytes that wait. */
export function byTrouble(peers: readonly PeerSnapshot[]): PeerSnapshot[] {
  const rank = (peer: PeerSnapshot): number => ORDER.indexOf(peer.verdict)
  const waiting = ({ tcp }: PeerSnapshot): number => tcp?.unsent ?? 0
  return [...peers].sort(
    (a, b) => rank(a) - rank(b) || b.silentFor - a.silentFor || waiting(b) - waiting(a),
  )
}

interface Column {
  readonly title: string
  readonly width: number
  readonly left?: boolean
  cell(peer: PeerSnapshot): string
}

/** The most useful columns come first, because a narrow terminal has space for these only. */
const COLUMNS: readonly Column[] = [
  {
    title: 'CLIENT',
    width: 24,
    left: true,
    cell: ({ remoteAddress, remotePort }) => endpoint(remoteAddress, remotePort),
  },
  { title: 'VERDICT', width: 11, left: true, cell: ({ verdict }) => verdict },
  {
    title: 'SILENT',
    width: 7,
    cell: ({ silentFor }) => (silentFor > 0 ? seconds(silentFor) : '-'),
  },
  { title: 'WAITING', width: 8, cell: ({ tcp }) => bytes(tcp?.unsent) },
  { title: 'UNACKED', width: 7, cell: ({ tcp }) => plain(tcp?.unackedSegments) },
  {
    title: 'RETRIES',
    width: 7,
    cell: ({ tcp }) => plain(tcp && (tcp.retransmits ?? 0) + (tcp.probes ?? 0)),
  },
  { title: 'LAST ACK', width: 8, cell: ({ tcp }) => seconds(tcp?.lastAckReceived) },
  { title: 'ACKED', width: 8, cell: ({ tcp }) => bytes(tcp?.bytesAcked) },
  { title: 'PORT', width: 5, cell: ({ localPort }) => String(localPort) },
  { title: 'SEEN', width: 7, cell: ({ seenFor }) => seconds(seenFor) },
]

/** Returns at most `height` lines of at most `width` characters. */
export function table(peers: readonly PeerSnapshot[], width: number, height: number): string[] {
  const columns: Column[] = []
  let used = 0
  for (const column of COLUMNS) {
    used += column.width + (columns.length > 0 ? 1 : 0)
    if (used > width && columns.length > 0) break
    columns.push(column)
  }
  const line = (cells: readonly string[]): string =>
    cells
      .map((text, index) => inWidth(text, columns[index] as Column))
      .join(' ')
      .trimEnd()
      .slice(0, width)
  const lines = [summary(peers).slice(0, width), line(columns.map(({ title }) => title))]
  for (const peer of byTrouble(peers)) {
    if (lines.length >= height) break
    lines.push(line(columns.map((column) => column.cell(peer))))
  }
  return lines.slice(0, height)
}

function summary(peers: readonly PeerSnapshot[]): string {
  const counts = ORDER.map((verdict) => {
    const count = peers.filter((peer) => peer.verdict === verdict).length
    return `${count} ${verdict}`
  })
  return `${peers.length} connections: ${counts.join(', ')}`
}

function inWidth(text: string, { width, left }: Column): string {
  const cut = text.length > width ? `${text.slice(0, width - 1)}…` : text
  return left ? cut.padEnd(width) : cut.padStart(width)
}

function endpoint(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** A value that the kernel does not report is shown as a dash, not as 0. */
function plain(value: number | undefined): string {
  return value === undefined ? '-' : String(value)
}

function seconds(milliseconds: number | undefined): string {
  if (milliseconds === undefined || Number.isNaN(milliseconds)) return '-'
  const value = milliseconds / 1_000
  if (value < 100) return `${value.toFixed(1)}s`
  return value < 6_000 ? `${Math.round(value / 60)}m` : `${Math.round(value / 3_600)}h`
}

function bytes(value: number | undefined): string {
  if (value === undefined) return '-'
  const units = ['', 'K', 'M', 'G', 'T']
  let size = value
  let unit = 0
  while (size >= 1_000 && unit < units.length - 1) {
    size /= 1_024
    unit += 1
  }
  return unit === 0 ? String(size) : `${size.toFixed(1)}${units[unit]}`
}
