// Interprets the kernel's numbers. Pure: it uses no clock and no socket. docs/liveness.md has the theory.
import { TCP_CLOSE, TCP_CLOSE_WAIT } from '../tcp/info.js'
import type { Table } from '../tcp/record.js'
import { answerWithin } from './path.js'
import type { MonitorPlan } from './plan.js'
import { column, isWindowShut } from './reading.js'

/**
 * The state of a peer:
 * - `alive`: no problem is known.
 * - `congested`: segments of the data in flight are lost or late. A peer that has fallen silent while data was in
 *   flight is `congested`, too, until it is `dead`.
 * - `slow`: bytes wait for space in the peer's receive window. A peer that falls silent while bytes wait is `slow`, too,
 *   until it is `dead`.
 * - `half-closed`: the peer has sent FIN. A shutdown of one direction and a full close look the same until the peer
 *   answers a write with RST (RFC 9293, 3.6 and 3.10.7.1).
 * - `dead`: the kernel has given up, or the peer has left everything unanswered for the time `LivenessPlan.silence`.
 */
export type Verdict = 'alive' | 'congested' | 'slow' | 'half-closed' | 'dead'

/** How long the peer had left something unanswered at a reading, ms. */
export function silentFor(table: Table, reading: number, now?: number): number {
  if (!(table.get(reading, column.asked) > 0)) return 0
  return (now ?? table.get(reading, column.at)) - table.get(reading, column.answeredAt)
}

/**
 * Judges a connection by two readings. Pure. The order of the checks matters; docs/liveness.md has the table.
 *
 * @param previous - the start of the previous reading in the table; `undefined` at the first
 * @param current - the start of the current reading
 * @param now - the time of the judgment, on the clock of the readings
 */
export function judge(
  table: Table,
  previous: number | undefined,
  current: number,
  plan: MonitorPlan,
  now: number,
): Verdict {
  const state = table.get(current, column.state)
  if (state === TCP_CLOSE) return 'dead'
  // Check this before the half-close: a peer that still reads after its FIN can vanish like any other.
  if (now >= deadAt(table, current, plan)) return 'dead'
  if (state === TCP_CLOSE_WAIT) return 'half-closed'
  if (isWindowShut(table, current) || isHeldByWindow(table, previous, current)) return 'slow'
  if (isLosing(table, previous, current)) return 'congested'
  return 'alive'
}

/**
 * When the peer will be dead if nothing changes. At that time its last answer is as old as the plan's silence, it has
 * been asked as often as its path needs, and the last question has had the time of an answer. `Infinity` while it has
 * not been asked that often.
 */
export function deadAt(table: Table, current: number, plan: MonitorPlan): number {
  const provedAt = table.get(current, column.provedAt)
  if (Number.isNaN(provedAt)) return Number.POSITIVE_INFINITY
  const answerTime = answerWithin(table, current)
  const silentAt = table.get(current, column.answeredAt) + plan.silence
  // Without the kernel's round-trip time, treat the path as a short one.
  if (Number.isNaN(answerTime)) return Math.max(silentAt, provedAt)
  // The peer fell silent when its last answer was sent, not when it arrived.
  const way = Math.min(table.get(current, column.rtt) / 2, plan.silence / 4)
  return Math.max(silentAt - way, provedAt + answerTime)
}

/** The growth of a column between two readings. */
function growth(table: Table, previous: number, current: number, of: number): number {
  return table.get(current, of) - table.get(previous, of)
}

/** Whether bytes wait, and have waited for the window for most of the time between the samples. */
function isHeldByWindow(table: Table, previous: number | undefined, current: number): boolean {
  if (previous === undefined || !(table.get(current, column.unsent) > 0)) return false
  const held = growth(table, previous, current, column.windowLimited)
  return held > growth(table, previous, current, column.at) / 2
}

function isLosing(table: Table, previous: number | undefined, current: number): boolean {
  if (!(table.get(current, column.unackedSegments) > 0)) return false
  if (table.get(current, column.retransmits) > 0 || table.get(current, column.lost) > 0) return true
  return previous !== undefined && growth(table, previous, current, column.totalRetransmits) > 0
}
