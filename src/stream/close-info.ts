// Why a stream ended, in words that an application can switch on.
import type { PeerEvidence } from '../liveness/monitor.js'

/**
 * - `ended`: by `close()`, and everything was handed to the kernel.
 * - `client-closed`: the client closed the connection, or had left before the stream was created.
 * - `client-reset`: the client's system answered with RST.
 * - `peer-dead`: nothing was heard for longer than `detectWithin` allows, or the kernel gave up.
 * - `stalled`: the client is there and took no byte for `stallTimeout`.
 * - `overflow`: the client's queue outgrew its limit.
 * - `expired`: the stream's age limit. - `drained`: the server is shutting down.
 * - `aborted`: by the `signal` option or `abort()`. - `error`: something of the application's threw.
 */
export type CloseReason =
  | 'ended'
  | 'client-closed'
  | 'client-reset'
  | 'peer-dead'
  | 'stalled'
  | 'overflow'
  | 'expired'
  | 'drained'
  | 'aborted'
  | 'error'

/** How a stream ended. */
export interface CloseInfo {
  readonly reason: CloseReason
  /** What is behind it: the connection's error, what an application threw, or one of this library's with a `code`. */
  readonly error?: Error | undefined
  /** Milliseconds that the stream was open. */
  readonly openedFor: number
  /** Bytes of events and comments handed to the connection; not how many arrived. */
  readonly bytesSent: number
  /** What the kernel said of a peer that was given up. */
  readonly evidence?: PeerEvidence | undefined
}

/**
 * Death comes in several errors: ICMP messages leave a soft error that the kernel reports when it gives up
 * (tcp_write_err: `sk_err_soft ?: ETIMEDOUT`).
 */
const PEER_DEAD = new Set([
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENETDOWN',
  'ECONNREFUSED',
  'ECONNABORTED',
])
const PEER_RESET = new Set(['ECONNRESET', 'EPIPE'])

/** The reason that a connection's error stands for; without an error the client simply closed. */
export function reasonOf(error: Error | undefined): CloseReason {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  if (code === undefined) return error === undefined ? 'client-closed' : 'error'
  if (PEER_DEAD.has(code)) return 'peer-dead'
  if (PEER_RESET.has(code)) return 'client-reset'
  return 'error'
}
