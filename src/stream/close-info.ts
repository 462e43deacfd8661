// Why a stream ended, in words that an application can switch on.
import type { Socket } from 'node:net'
import { TcpSseError } from '../internal/errors.js'
import type { PeerEvidence } from '../liveness/evidence.js'
import { isPeerDeath } from '../liveness/peer-errors.js'
import type { Verdict } from '../liveness/verdict.js'
import type { Delivered, Undelivered } from './delivery-log.js'
import type { Dropped, EventQueue } from './queue.js'

/** Every reason there is. */
export const CLOSE_REASONS = [
  'ended',
  'client-closed',
  'client-reset',
  'client-error',
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
 * - `client-reset`: the client's system answered with RST. One that Node reads together with bytes of the client's is
 * reported by libuv as an end, so the reason is then that of an end.
 * - `client-error`: the client sent what is no HTTP or no TLS, or did not send its whole request within the server's
 * `requestTimeout`: what Node tells a server's `clientError` event.
 * - `peer-dead`: nothing was heard for longer than `detectWithin` allows, or the kernel gave up.
 * - `no-echo`: the connection may be well, a proxy's perhaps, and the client has not answered for the `silence` of the
 * stream's option `echo`.
 * - `stalled`: the client is there and took no byte for `stallTimeout`.
 * - `overflow`: the client's queue outgrew its limit.
 * - `expired`: the stream reached its `maxAge`. - `drained`: by `drain`, or the request came while that was going on and got
 * 503. An `error` with it says that it was cut off at the end of the drain's time.
 * - `refused`: the stream's `admission` was full, or its connection had `maxStreamsPerConnection` streams; the request got 503.
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

/**
 * The `reason` of a stream's `signal` once the stream has ended. Its `name` is `AbortError` and its `code` `ABORT_ERR`, as
 * of Node's own: `fetch`, `events.once`, `pipeline` and the like reject with it, and their callers ask for these.
 *
 * @example
 * try {
 *   await fetch('http://127.0.0.1:9/prices', { signal: stream.signal })
 * } catch (error) {
 *   if (!(error instanceof StreamClosedError)) throw error
 *   console.log(error.closeInfo.reason) // 'client-closed'
 * }
 */
export class StreamClosedError extends TcpSseError {
  /** How the stream ended: what `closed` resolves with. */
  readonly closeInfo: CloseInfo

  /** @internal */
  constructor(closeInfo: CloseInfo) {
    const { reason, error: cause } = closeInfo
    super('ABORT_ERR', `The event stream has ended: ${reason}.`, { cause })
    this.name = 'AbortError'
    this.closeInfo = closeInfo
  }
}

/** Of Node's HTTP parser, of its check for requests that do not come, of OpenSSL, of nghttp2. */
const CLIENT_ERROR = /^(HPE_|ERR_HTTP_REQUEST_TIMEOUT$|ERR_SSL_|EPROTO$|ERR_HTTP2_)/

const PEER_RESET = new Set(['ECONNRESET', 'EPIPE'])

/** The reason that a connection's error stands for; without an error the client simply closed. */
export function reasonOf(error: Error | undefined): CloseReason {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  if (code === undefined) return error === undefined ? 'client-closed' : 'error'
  if (isPeerDeath(error)) return 'peer-dead'
  if (PEER_RESET.has(code)) return 'client-reset'
  if (CLIENT_ERROR.test(code)) return 'client-error'
  return 'error'
}

/** The reason of a connection that a look has found ended: without an error, its verdict tells a close from a reset. */
export function reasonOfGone(
  verdict: Verdict,
  error: Error | undefined,
  socket: Socket | undefined,
): CloseReason {
  if (error !== undefined) return reasonOf(error)
  return verdict === 'half-closed' || socket?.destroyed === true ? 'client-closed' : 'client-reset'
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

/** The error of a queue that had no room for an event. */
export function overflowed({ length, bytes, refused, limits }: EventQueue): TcpSseError {
  const { maxBufferedBytes, maxBufferedEvents } = limits
  const limit =
    length >= maxBufferedEvents
      ? `maxBufferedEvents (${maxBufferedEvents})`
      : `maxBufferedBytes (${maxBufferedBytes})`
  return new TcpSseError(
    'ERR_OVERFLOW',
    `${length} events (${bytes} bytes) wait for the client, and one more of ${refused} bytes would exceed ${limit}. ` +
      'Send at its pace (await writable(), or sendAll), raise the limit, or set onOverflow to drop events.',
  )
}

/** The error of a stream that was cut off because a drain's time was over. */
export function outOfTime(): TcpSseError {
  return new TcpSseError(
    'ERR_DRAIN_TIMEOUT',
    'The stream was not through when the drain had to end.',
  )
}
