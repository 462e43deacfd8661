// What a guard is told, and what it tells.
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

/** The request as `filter` gets it: `undefined` on a server that knows none, and from HTTP/2's core API. */
export type GuardedRequest = IncomingMessage | Http2ServerRequest | undefined

/** The response: the stream itself from HTTP/2's core API, `undefined` on `net` and `tls` servers. */
export type GuardedResponse = ServerResponse | Http2ServerResponse | ServerHttp2Stream | undefined

/** Every reason there is. */
export const GUARD_CLOSE_REASONS = [
  'peer-dead',
  'client-closed',
  'client-reset',
  'stalled',
  'expired',
] as const

/**
 * Why the guard ended something:
 * - `peer-dead`: nothing was heard for longer than `detectWithin` allows, or the kernel gave up.
 * - `client-closed`, `client-reset`: the client has gone by FIN or RST, and Node, which was not reading, had not noticed.
 * - `stalled`: no byte was taken for `stallTimeout`. - `expired`: older than `maxAge`.
 */
export type GuardCloseReason = (typeof GUARD_CLOSE_REASONS)[number]

/** What the guard ended, and why. */
export interface GuardCloseInfo {
  /** Why. */
  readonly reason: GuardCloseReason
  /**
   * `stream`: one response was given up (`stalled`, `expired`); on HTTP/1 its connection ended with it, on HTTP/2 the
   * others live on. `connection`: all of it.
   */
  readonly scope: 'connection' | 'stream'
  /** As the connection was accepted: a dead socket has no address any more. `undefined` on Unix sockets. */
  readonly remoteAddress: string | undefined
  /** The same of the port. */
  readonly remotePort: number | undefined
  /** The path of the response that was given up, or of the one that was open on the connection, where there was one. */
  readonly url: string | undefined
  /** Milliseconds: since the request of a stream, since a connection was accepted. */
  readonly openedFor: number
  /** What the peer's kernel had last shown. A stalled client is mostly `slow`: it is there and takes nothing. */
  readonly verdict: Verdict
  /** Milliseconds for which no byte had been taken; only with `stalled`. */
  readonly stalledFor: number | undefined
  /** The last look at the connection; without the addon `tcp` is `undefined`. */
  readonly evidence: PeerEvidence
}

/** What guards publish, by the name of the channel. */
export interface GuardMessages {
  /** A guard has ended something. */
  readonly 'tcp-sse:guard:close': {
    /** The guarded one. */
    readonly server: Server
    /** What `onClose` gets. */
    readonly info: GuardCloseInfo
  }
}

/**
 * Options of `guardServer`. Times in milliseconds, sizes in bytes; `false` means off. There is no `heartbeat`: a guard
 * cannot write into a response that it has not made.
 */
export interface GuardOptions {
  /**
   * The promise: a peer that has fallen silent is closed within this time + 1 s, on every connection of the server.
   * 4 000 to 3 600 000.
   * @defaultValue 30 000
   */
  detectWithin?: number | undefined
  /**
   * An event stream whose client takes no byte for this long while bytes wait for it is closed. Progress, however slow,
   * starts the time again. At least 1 000.
   * @defaultValue 30 000
   */
  stallTimeout?: number | false | undefined
  /**
   * An event stream that was requested longer ago than this is closed, and its client connects again. At least 1 000.
   * @defaultValue false
   */
  maxAge?: number | false | undefined
  /**
   * TCP_NOTSENT_LOWAT, bytes: back-pressure reaches the foreign code after this much, not after megabytes. Off unless
   * asked for: it costs large downloads throughput, and code that ignores back-pressure then buffers in user space.
   * @defaultValue false
   */
  notSentLowWater?: number | false | undefined
  /**
   * Says which responses `stallTimeout` and `maxAge` are for, in place of the content type. Called once for each
   * response, when its head has been sent; on `net` and `tls` servers once for each connection, with the socket alone.
   * What it throws is rethrown on the next tick, and counts as `false`.
   * @defaultValue responses of type `text/event-stream`
   */
  filter?: ((req: GuardedRequest, res: GuardedResponse, socket: Socket) => boolean) | undefined
  /**
   * Called once for each connection or stream that ends by the guard's act, right after it, and for connections that
   * the kernel gave up by the options the guard had set. Not called for what ends by itself. What it throws is rethrown
   * on the next tick, as Node does for event targets: an `uncaughtException`, and all other connections stay guarded.
   */
  onClose?: ((info: GuardCloseInfo) => void) | undefined
}

/** The options with everything filled in. */
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
