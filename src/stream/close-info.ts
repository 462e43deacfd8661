// Why a stream ended, in words that an application can switch on.
import { TcpSseError } from '../errors.js'
import { isPeerDeath } from '../liveness/death.js'
import type { PeerEvidence } from '../liveness/watch.js'
import type { Delivered, Undelivered } from './delivery-log.js'
import type { Dropped } from './queue.js'

/** Every reason there is. */
export const CLOSE_REASONS = [
  'ended',
  'client-closed',
  'client-reset',
  'peer-dead',
  'no-echo',
  'stalled',
  'overflow',
  'expired',
  'drained',
  'refused',
  'aborted',
  'error',
] as const

/**
 * - `ended`: by `close()`, and the client's kernel has acknowledged everything; where that cannot be known, everything
 * was handed to the connection. Also when the application ended the response itself: see `undelivered` then.
 * - `client-closed`: the client closed the connection, or had left before the stream was created. Also when the
 * application destroyed the connection without an error: the two look alike.
 * - `client-reset`: the client's system answered with RST.
 * - `peer-dead`: nothing was heard for longer than `detectWithin` allows, or the kernel gave up.
 * - `no-echo`: the connection may be well, a proxy's perhaps, and the client has not answered for the `silence` of the
 * stream's option `echo`.
 * - `stalled`: the client is there and took no byte for `stallTimeout`.
 * - `overflow`: the client's queue outgrew its limit.
 * - `expired`: the stream reached its `maxAge`. - `drained`: by `drain`, or the request came while that was going on and got
 * 503. An `error` with it says that it was cut off at the end of the drain's time.
 * - `refused`: the stream's `admission` was full, and the request got 503.
 * - `aborted`: by the `signal` option or `abort()`. - `error`: something of the application's threw.
 */
export type CloseReason = (typeof CLOSE_REASONS)[number]

/** What became of what was sent. */
export interface Account {
  /** Bytes of events and comments handed to the connection; not how many arrived. */
  readonly bytesSent: number
  /** What the overflow policy dropped. */
  readonly dropped: Dropped
  /** What the client's kernel is known to have acknowledged; `undefined` where that cannot be known. */
  readonly delivered?: Delivered | undefined
  /** What was sent or queued and not acknowledged; `undefined` where that cannot be known. */
  readonly undelivered?: Undelivered | undefined
}

/** How a stream ended. */
export interface CloseInfo extends Account {
  /** Why. */
  readonly reason: CloseReason
  /** What is behind it: the connection's error, what an application threw, or one of this library's with a `code`. */
  readonly error?: Error | undefined
  /** Milliseconds that the stream was open. */
  readonly openedFor: number
  /** What the kernel said of a peer that was given up. */
  readonly evidence?: PeerEvidence | undefined
}

const PEER_RESET = new Set(['ECONNRESET', 'EPIPE'])

/** The reason that a connection's error stands for; without an error the client simply closed. */
export function reasonOf(error: Error | undefined): CloseReason {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  if (code === undefined) return error === undefined ? 'client-closed' : 'error'
  if (isPeerDeath(error)) return 'peer-dead'
  if (PEER_RESET.has(code)) return 'client-reset'
  return 'error'
}

/** The error of a peer that left everything unanswered, by the ms for which it did. */
export function fellSilent(silentFor: number): TcpSseError {
  const message = `The peer left everything unanswered for ${Math.round(silentFor)} ms.`
  return new TcpSseError('ERR_PEER_DEAD', message)
}

/** The error of a client that has sent no echo, by the ms for which it did not. */
export function noEcho(silence: number): TcpSseError {
  return new TcpSseError('ERR_NO_ECHO', `No echo came from the client for ${silence} ms.`)
}

/** The error of a client that took no byte, by the ms for which it did not. */
export function stalled(stalledFor: number): TcpSseError {
  return new TcpSseError(
    'ERR_PEER_STALLED',
    `The client took no byte for ${Math.round(stalledFor)} ms.`,
  )
}

/** The error of a queue that is full, by the bytes in it. */
export function overflowed(pending: number): TcpSseError {
  return new TcpSseError('ERR_OVERFLOW', `${pending} bytes wait and one more event has no room.`)
}

/** The error of a stream that was cut off because a drain's time was over. */
export function outOfTime(): TcpSseError {
  return new TcpSseError(
    'ERR_DRAIN_TIMEOUT',
    'The stream was not through when the drain had to end.',
  )
}
