// A row of sock_diag as a reading: since when may the peer's silence be counted?
import { CLOCK_TOLERANCE } from '../liveness/path.js'
import type { DiagRows } from '../tcp/diag.js'
import { COLUMNS, column, type Table } from '../tcp/record.js'
import type { Connection } from './connections.js'

/** Copies the record that a row begins with. */
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
 * Makes a reading of the record of a connection.
 *
 * A reading counts a silence from the peer's last answer, because keepalive, or a heartbeat, has asked it soon after
 * that. On a connection that nobody has armed the last answer may be hours old when the server writes again: there no more
 * than `asking` before that write counts, as if it had been asked like others; on one that has just been armed, what comes
 * after that. So what came before counts as data received.
 *
 * @param age - how long ago the record was made, ms
 * @param asking - after what quiet the plan has a peer asked, ms
 */
export function readRow(
  connection: Connection,
  table: Table,
  start: number,
  age: number,
  now: number,
  asking: number,
): void {
  for (const of of [column.lastAckReceived, column.lastDataReceived, column.lastDataSent]) {
    table.set(start, of, table.get(start, of) + age)
  }
  if (!connection.armed) notePlain(connection, table, start, now, asking)
  const received = table.get(start, column.lastDataReceived)
  const counts = Math.max(0, now - connection.silenceCountsFrom)
  table.set(start, column.lastDataReceived, Math.min(received, counts))
}

/** Without keepalive as the plan has it, only what is seen to be outstanding asks the peer. */
function notePlain(
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
    connection.silenceCountsFrom = Math.max(connection.firstSeen, answeredAt, askedAt - asking)
  }
  connection.outstanding = outstanding
}

/**
 * For how long something has been unanswered at least: since it was last sent, and before that the timeouts, each of which
 * was half as long as the next one at least. When a probe was sent is not told.
 */
function askedFor(table: Table, start: number): number {
  if (!(table.get(start, column.unackedSegments) > 0)) return 0
  const timeouts = table.get(start, column.rto) * (1 - 2 ** -table.get(start, column.retransmits))
  return table.get(start, column.lastDataSent) + timeouts
}
