// Options and reports of a guard.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse, ServerHttp2Stream } from 'node:http2'
import type { Server, Socket } from 'node:net'
import {
  type Checks,
  callable,
  checkOptions,
  duration,
  orFalse,
  pass,
} from '../internal/validate.js'
import type { PeerEvidence } from '../liveness/evidence.js'
import { type MonitorPlan, monitorPlan } from '../liveness/plan.js'
import type { Verdict } from '../liveness/verdict.js'
import { checkNotSentLowWater } from '../tcp/options.js'

/**
 * The request as `filter` gets it. `undefined` on `net` and `tls` servers, and with HTTP/2's core
 * API.
 */
export type GuardedRequest = IncomingMessage | Http2ServerRequest | undefined

/**
 * The response as `filter` gets it. With HTTP/2's core API it is the stream; on `net` and `tls`
 * servers it is `undefined`.
 */
export type GuardedResponse = ServerResponse | Http2ServerResponse | ServerHttp2Stream | undefined

/** All reasons. */
export const GUARD_CLOSE_REASONS = [
  'peer-dead',
  'client-closed',
  'client-reset',
  'stalled',
  'expired',
] as const

/**
 * Why the guard ended a connection or a stream:
 *
 * - `peer-dead`: the peer was silent for longer than `detectWithin` allows, or the kernel gave up.
 * - `client-closed`: the client has sent FIN, and Node has not noticed, because it was not reading.
 * - `client-reset`: the client has sent RST, and Node has not noticed, because it was not reading.
 * - `stalled`: the client took no byte for `stallTimeout`.
 * - `expired`: the stream was older than `maxAge`.
 */
export type GuardCloseReason = (typeof GUARD_CLOSE_REASONS)[number]

/** What the guard ended, and why. */
export interface GuardCloseInfo {
  /** The reason. */
  readonly reason: GuardCloseReason
  /**
   * What was ended:
   *
   * - `stream`: one response (`stalled`, `expired`). On HTTP/1 its connection ends with it. On
   *   HTTP/2 the other streams continue.
   * - `connection`: the whole connection.
   */
  readonly scope: 'connection' | 'stream'
  /** The client's address when the connection was accepted. `undefined` on Unix sockets. */
  readonly remoteAddress: string | undefined
  /** The client's port when the connection was accepted. `undefined` on Unix sockets. */
  readonly remotePort: number | undefined
  /**
   * The path of the response that was ended, or of a response that was open on the connection, if
   * there was one.
   */
  readonly url: string | undefined
  /**
   * Milliseconds since the request (`stream`), or since the connection was accepted (`connection`).
   */
  readonly openedFor: number
  /**
   * The last verdict on the peer. A stalled client is usually `slow`: it answers and takes nothing.
   */
  readonly verdict: Verdict
  /** Milliseconds for which no byte was taken; only with `stalled`. */
  readonly stalledFor: number | undefined
  /** The last sample of the connection. Without the addon, `tcp` is `undefined`. */
  readonly evidence: PeerEvidence
}

/** The messages that guards publish, by the name of the diagnostics channel. */
export interface GuardMessages {
  /** A guard has ended a connection or a stream. */
  readonly 'tcp-sse:guard:close': {
    /** The guarded server. */
    readonly server: Server
    /** The argument of `onClose`. */
    readonly info: GuardCloseInfo
  }
}

/**
 * Options of `guardServer`. Times in milliseconds, sizes in bytes; `false` means off. There is no
 * `heartbeat`, because a guard cannot write into another code's response.
 */
export interface GuardOptions {
  /**
   * A peer that has fallen silent is closed within this time + 1 s, on every connection of the
   * server. 4 000 to 3 600 000.
   * @defaultValue 30 000
   */
  detectWithin?: number | undefined
  /**
   * An event stream is closed if its client takes no byte for this long while bytes are waiting.
   * Any progress, however slow, restarts the time. At least 1 000.
   * @defaultValue 30 000
   */
  stallTimeout?: number | false | undefined
  /**
   * An event stream whose request is older than this is closed, and its client reconnects. At least
   * 1 000.
   * @defaultValue false
   */
  maxAge?: number | false | undefined
  /**
   * TCP_NOTSENT_LOWAT, in bytes: with it, application code sees back-pressure after this many bytes
   * instead of megabytes. It is off by default, because it reduces the throughput of large
   * downloads, and because code that ignores back-pressure then buffers in user space.
   * @defaultValue false
   */
  notSentLowWater?: number | false | undefined
  /**
   * Selects the responses to which `stallTimeout` and `maxAge` apply, in place of the content type.
   * Called once for each response, at the first sample after its head has been sent, if the response
   * is still open. On `net` and `tls` servers it is
   * called once for each connection, as `filter(undefined, undefined, socket)`. If it throws, the error is rethrown on
   * the next tick, and the result counts as `false`.
   * @defaultValue responses of type `text/event-stream`
   */
  filter?: ((req: GuardedRequest, res: GuardedResponse, socket: Socket) => boolean) | undefined
  /**
   * Called once for each connection or stream that the guard has ended, right after that, and for
   * connections that the kernel gave up because of the guard's options. Not called for what ends by
   * itself. If it throws, the error is rethrown on the next tick as an `uncaughtException`, as Node
   * does for event targets. Other connections stay guarded.
   */
  onClose?: ((info: GuardCloseInfo) => void) | undefined
}

/** The options with all defaults filled in. */
export interface GuardSettings {
  readonly plan: MonitorPlan
  readonly stallTimeout: number | false
  readonly maxAge: number | false
  readonly notSentLowWater: number | undefined
  readonly filter: GuardOptions['filter']
  readonly onClose: GuardOptions['onClose']
}

const DEFAULT_STALL_TIMEOUT = 30_000
const LEAST = { min: 1_000 }

const checks: Checks<GuardOptions> = {
  detectWithin: pass,
  stallTimeout: orFalse(duration(LEAST)),
  maxAge: orFalse(duration(LEAST)),
  notSentLowWater: orFalse(checkNotSentLowWater),
  filter: callable<NonNullable<GuardOptions['filter']>>(),
  onClose: callable<NonNullable<GuardOptions['onClose']>>(),
}

/** Checks options and fills in the defaults. */
export function guardSettings(options: GuardOptions): GuardSettings {
  const given = checkOptions(options, checks, 'GuardOptions')
  return {
    plan: monitorPlan(given.detectWithin, { heartbeat: false }),
    stallTimeout: given.stallTimeout ?? DEFAULT_STALL_TIMEOUT,
    maxAge: given.maxAge ?? false,
    notSentLowWater: given.notSentLowWater || undefined,
    filter: given.filter,
    onClose: given.onClose,
  }
}
