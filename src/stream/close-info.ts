// The reasons for which a stream ends, for use in a `switch`.
import type { Socket } from 'node:net'
import { TcpSseError } from '../internal/errors.js'
import { brand, versionOf } from '../internal/shared.js'
import type { PeerEvidence } from '../liveness/evidence.js'
import { isPeerDeath } from '../liveness/peer-errors.js'
import type { Verdict } from '../liveness/verdict.js'
import type { Transport } from '../transport/transport.js'
import type { Delivered, Undelivered } from './delivery-log.js'
import type { Dropped, EventQueue } from './queue.js'

/** All close reasons. */
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
 * Why a stream ended:
 * - `ended`: the application called `close()`, and the client's kernel has acknowledged everything. If acknowledgements
 *   are unknown, everything was passed to the connection. It is also the reason if the application ended the response
 *   itself; `undelivered` then says what was not acknowledged.
 * - `client-closed`: the client closed the connection, or had left before the stream was created. It is also the reason
 *   if the application destroyed the connection without an error, because the two look the same.
 * - `client-reset`: the client's system answered with RST. If Node reads the RST together with bytes from the client,
 *   libuv reports a normal end, and the reason is `client-closed`.
 * - `client-error`: the client sent invalid HTTP or TLS, or did not send its whole request within the server's
 *   `requestTimeout`. Node reports these to a server's `clientError` event.
 * - `peer-dead`: the peer was silent for longer than `detectWithin` allows, or the kernel gave up.
 * - `no-echo`: the client has not answered for the `silence` of the option `echo`. The connection itself may work, for
 *   example that of a proxy.
 * - `stalled`: the client is there but accepted no byte for `stallTimeout`.
 * - `overflow`: the stream's queue exceeded `maxBufferedBytes` or `maxBufferedEvents`.
 * - `expired`: the stream reached its `maxAge`.
 * - `drained`: `drain` or `onGap: 'close'` of a channel ended the stream, or the request arrived during the drain and
 *   got 503. If there is an `error`, the stream was cut when the drain's `timeout` expired or its `signal` aborted.
 * - `refused`: the stream's `admission` was full, or its connection had `maxStreamsPerConnection` streams. The request
 *   got 503.
 * - `aborted`: by the `signal` option or by `abort()`.
 * - `error`: code of the application threw, or the connection failed with an error that fits no other reason.
 */
export type CloseReason = (typeof CLOSE_REASONS)[number]

/** What was sent, dropped and delivered. */
export interface Account {
  /** Bytes of events and comments passed to the connection, not the bytes that arrived. */
  readonly bytesSent: number
  /** Events that the overflow policy dropped. */
  readonly dropped: Dropped
  /** Events that the client's kernel has acknowledged; `undefined` if this is unknown. */
  readonly delivered?: Delivered | undefined
  /** Events that were sent or queued but not acknowledged; `undefined` if this is unknown. */
  readonly undelivered?: Undelivered | undefined
}

/** How a stream ended. */
export interface CloseInfo extends Account {
  /** Why the stream ended. */
  readonly reason: CloseReason
  /** The cause: the connection's error, an error of the application, or an error of this library with a `code`. */
  readonly error?: Error | undefined
  /** Milliseconds for which the stream was open. */
  readonly openedFor: number
  /** What was known about the peer, if a sample found it dead or gone, or if it stalled; otherwise `undefined`. */
  readonly evidence?: PeerEvidence | undefined
}

/**
 * The `reason` of a stream's `signal` after the stream has ended. Its `name` is `AbortError` and its `code` is
 * `ABORT_ERR`, as in Node's own error. `fetch` rejects with it. `events.once`, `pipeline` and timers reject with Node's
 * own `AbortError`, in most cases with this error as its `cause`. Code that handles an `AbortError` handles all of them.
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
  /** Also true for errors of another copy of this library. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return versionOf(value, 'StreamClosedError') !== undefined
  }

  /** How the stream ended: the value of `closed`. */
  readonly closeInfo: CloseInfo

  /** @internal */
  constructor(closeInfo: CloseInfo) {
    const { reason, error: cause } = closeInfo
    super('ABORT_ERR', `The event stream has ended: ${reason}.`, { cause })
    this.name = 'AbortError'
    this.closeInfo = closeInfo
  }
}

brand(StreamClosedError, 'StreamClosedError')

/** Errors of Node's HTTP parser, of its request timeout, of OpenSSL and of nghttp2. */
const CLIENT_ERROR = /^(HPE_|ERR_HTTP_REQUEST_TIMEOUT$|ERR_SSL_|EPROTO$|ERR_HTTP2_)/

const PEER_RESET = new Set(['ECONNRESET', 'EPIPE'])

/** The close reason for a connection's error. Without an error, the client closed the connection. */
export function reasonOf(error: Error | undefined): CloseReason {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  if (code === undefined) return error === undefined ? 'client-closed' : 'error'
  if (isPeerDeath(error)) return 'peer-dead'
  if (PEER_RESET.has(code)) return 'client-reset'
  if (CLIENT_ERROR.test(code)) return 'client-error'
  return 'error'
}

/**
 * The reason and the error of a response that has ended.
 *
 * @param over - how it ended, by its transport
 * @param ending - what the stream intended, if it has ended the response itself
 * @param error - the error of the connection
 */
export function reasonOfEnd(
  over: Transport['over'],
  ending: { readonly reason: CloseReason; readonly error?: Error | undefined } | undefined,
  error: Error | undefined,
): [CloseReason, Error | undefined] {
  if (over === 'finished') return [ending?.reason ?? 'ended', ending?.error]
  if (typeof over !== 'object') return [reasonOf(error), error]
  const { reason, stalledFor } = over
  return [reason, stalledFor === undefined ? undefined : stalled(stalledFor)]
}

/**
 * The close reason of a connection that a sample has found ended. Without an error, the verdict distinguishes a close
 * from a reset.
 */
export function reasonOfGone(
  verdict: Verdict,
  error: Error | undefined,
  socket: Socket | undefined,
): CloseReason {
  if (error !== undefined) return reasonOf(error)
  return verdict === 'half-closed' || socket?.destroyed === true ? 'client-closed' : 'client-reset'
}

/** The error for a peer that left everything unanswered for `silentFor` ms. */
export function fellSilent(silentFor: number): TcpSseError {
  const message = `The peer left everything unanswered for ${Math.round(silentFor)} ms.`
  return new TcpSseError('ERR_PEER_DEAD', message)
}

/** The error for a client that sent no echo for `silence` ms. */
export function noEcho(silence: number): TcpSseError {
  return new TcpSseError('ERR_NO_ECHO', `The client sent no echo for ${silence} ms.`)
}

/** The error for a client that accepted no byte for `stalledFor` ms. */
export function stalled(stalledFor: number): TcpSseError {
  return new TcpSseError(
    'ERR_PEER_STALLED',
    `The client accepted no byte for ${Math.round(stalledFor)} ms.`,
  )
}

/** The error for a queue that could not hold an event. */
export function overflowed({ length, bytes, refused, limits }: EventQueue): TcpSseError {
  const { maxBufferedBytes, maxBufferedEvents } = limits
  const limit =
    length >= maxBufferedEvents
      ? `maxBufferedEvents (${maxBufferedEvents})`
      : `maxBufferedBytes (${maxBufferedBytes})`
  return new TcpSseError(
    'ERR_OVERFLOW',
    `${length} events (${bytes} bytes) wait for the client, and another ${refused} bytes would exceed ${limit}. ` +
      'Send at the pace of the client (await writable(), or sendAll), raise the limit, or set onOverflow to drop events.',
  )
}

/** The error for a stream that was cut by a drain. */
export function outOfTime(): TcpSseError {
  return new TcpSseError(
    'ERR_DRAIN_TIMEOUT',
    'The stream had not ended when the timeout of the drain expired or its signal aborted.',
  )
}
