// A row of sock_diag as a look: since when may the peer's silence be counted?
import type { Sight } from '../liveness/observation.js'
import type { Rows } from '../tcp/info.js'
import { column } from '../tcp/info.js'
import type { Connection } from './connections.js'

/** The kernel's clocks are coarse (10 ms at HZ = 100) and not ours. */
const CLOCK_TOLERANCE = 20

/** Where a row is. */
export interface RowOf {
  readonly rows: Rows
  readonly index: number
  /** How long ago it was made, ms. */
  readonly age: number
}

/**
 * Reads a row about a connection.
 *
 * An observation counts a silence from the peer's last answer, because keepalive, or a heartbeat, has asked it soon after
 * that. On a connection that nobody has armed the last answer may be hours old when the server writes again: there no more
 * than `asking` before that write counts, as if it had been asked like others; on one that has just been armed, what comes
 * after that. So what came before counts as data received.
 *
 * @param asking - after what quiet the plan has a peer asked, ms
 */
export function readRow(
  connection: Connection,
  { rows, index, age }: RowOf,
  into: Sight,
  now: number,
  asking: number,
): Sight {
  into.read(rows, index)
  into.lastAckReceived += age
  into.lastDataReceived += age
  if (!connection.armed) {
    const lastDataSent = rows.numbers[index * rows.width + column.lastDataSent] as number
    notePlain(connection, into, lastDataSent + age, now, asking)
  }
  into.lastDataReceived = Math.min(
    into.lastDataReceived,
    Math.max(0, now - connection.silenceCountsFrom),
  )
  return into
}

/** Without keepalive as the plan has it, only what is seen to be outstanding asks the peer. */
function notePlain(
  connection: Connection,
  sight: Sight,
  lastDataSent: number,
  now: number,
  asking: number,
): void {
  const outstanding = sight.unacked > 0 || sight.probes > 0
  const answeredAt = now - Math.min(sight.lastAckReceived, sight.lastDataReceived)
  const answered = answeredAt > connection.silenceCountsFrom + CLOCK_TOLERANCE
  if (outstanding && (!connection.outstanding || answered)) {
    const askedAt = now - askedFor(sight, lastDataSent)
    connection.silenceCountsFrom = Math.max(connection.firstSeen, answeredAt, askedAt - asking)
  }
  connection.outstanding = outstanding
}

/**
 * For how long something has been unanswered at least: since it was last sent, and before that the timeouts, each of which
 * was half as long as the next one at least. When a probe was sent is not told.
 */
function askedFor({ unacked, retransmits, rto }: Sight, lastDataSent: number): number {
  return unacked > 0 ? lastDataSent + rto * (1 - 2 ** -retransmits) : 0
}
