// Turns a row of sock_diag into a reading, and determines from when on the peer's silence counts.
import { CLOCK_TOLERANCE } from '../liveness/path.js'
import { isWindowShut } from '../liveness/reading.js'
import type { DiagRows } from '../tcp/diag.js'
import { COLUMNS, column, type Table } from '../tcp/record.js'
import type { Connection } from './connections.js'

/** Copies the record at the start of a row. */
export function copyRow(
  { numbers, width }: DiagRows,
  row: number,
  table: Table,
  start: number,
): void {
  for (let at = 0; at < COLUMNS.length; at++) {
    table.set(start, at, numbers[row * width + at] as number)
  }
}

/**
 * Turns the record of a connection into a reading.
 *
 * A reading counts silence from the peer's last answer, because keepalive, or a heartbeat, probes
 * the peer soon after that. On a connection without keepalive, the last answer may be hours old
 * when the server writes again. Its silence therefore counts from at most `asking` before that
 * write, as if the peer had been probed. It does not count from before the guard's start. On a
 * connection that was just armed, it counts from the arming. Earlier silence is hidden by treating
 * data as received at that time.
 *
 * @param now - the time of the record
 * @param asking - the quiet time after which the plan probes a peer, in milliseconds
 */
export function readRow(
  connection: Connection,
  table: Table,
  start: number,
  now: number,
  asking: number,
): void {
  // Behind a shut window, keepalive does not probe. A probe that the kernel had already scheduled may come long after the
  // arming. Most come within this time.
  if (!connection.armed) noteQuestion(connection, table, start, now, asking)
  else if (isWindowShut(table, start)) noteQuestion(connection, table, start, now, 3 * asking)
  else connection.outstanding = false
  const received = table.get(start, column.lastDataReceived)
  const counts = Math.max(0, now - connection.silenceCountsFrom)
  table.set(start, column.lastDataReceived, Math.min(received, counts))
}

/** Updates a connection that keepalive does not probe: only data and window probes ask its peer. */
function noteQuestion(
  connection: Connection,
  table: Table,
  start: number,
  now: number,
  asking: number,
): void {
  const told = (of: number): number => table.get(start, of)
  const outstanding = told(column.unackedSegments) > 0 || told(column.probes) > 0
  const answeredAt = now - Math.min(told(column.lastAckReceived), told(column.lastDataReceived))
  const answered = answeredAt > connection.silenceCountsFrom + CLOCK_TOLERANCE
  if (outstanding && (!connection.outstanding || answered)) {
    const askedAt = now - askedFor(table, start)
    connection.silenceCountsFrom = Math.max(connection.unseenAt, answeredAt, askedAt - asking)
  }
  connection.outstanding = outstanding
}

/**
 * How long ago data was sent that has been unanswered since, or a little more: the time since it
 * was last sent, plus the timeouts before that, each half as long as the next one, plus the loss
 * probe, which the kernel sends no later than a first timeout. That sum is the present timeout. If
 * it were counted too short, a vanished peer would be found late. The kernel does not report when a
 * probe was sent.
 */
function askedFor(table: Table, start: number): number {
  if (!(table.get(start, column.unackedSegments) > 0)) return 0
  return table.get(start, column.lastDataSent) + table.get(start, column.rto)
}
