// Protects servers and libraries that this project did not write. It only listens to public events
// of the server.
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type {
  Http2ServerRequest,
  Http2ServerResponse,
  IncomingHttpHeaders,
  ServerHttp2Stream,
} from 'node:http2'
import https from 'node:https'
import { Server, Socket } from 'node:net'
import tls from 'node:tls'
import { systemClock } from '../internal/clock.js'
import { counters, countUp } from '../internal/counters.js'
import { guardClose } from '../internal/diagnostics.js'
import { TcpSseError } from '../internal/errors.js'
import { isolated } from '../internal/rethrow.js'
import { socketOf } from '../native/binding.js'
import { Connection } from './connection.js'
import { BareExchange, type Exchange, Http1Exchange, Http2Exchange } from './exchange.js'
import { ListenerOptions } from './listener-options.js'
import {
  GUARD_CLOSE_REASONS,
  type GuardCloseInfo,
  type GuardCloseReason,
  type GuardMessages,
  type GuardOptions,
  type GuardSettings,
  guardSettings,
} from './options.js'

/** A snapshot of a guard's counters. */
export interface GuardStats {
  /** Guarded connections now. */
  readonly connections: number
  /** Responses on them that are event streams, by content type or `filter`. */
  readonly streams: number
  /**
   * How many connections and streams the guard has ended, by reason. It counts the calls to
   * `onClose`.
   */
  readonly closed: Readonly<Record<GuardCloseReason, number>>
  /**
   * Whether connections inherit the options from the listening socket. Otherwise the guard sets
   * them on each connection.
   */
  readonly inherited: boolean
}

/**
 * Watches over a server. Made by `guardServer`.
 *
 * @example
 * const guard = guardServer(server)
 * console.log(guard.stats().closed['peer-dead'])
 * guard.stop()
 */
export class Guard {
  readonly #settings: GuardSettings
  readonly #listenerOptions: ListenerOptions
  readonly #server: Server
  readonly #kind: 'http1' | 'http2' | 'bare'
  readonly #connections = new Map<Socket, Connection>()
  readonly #http2Exchanges = new WeakMap<ServerHttp2Stream, Http2Exchange>()
  readonly #closed = Object.fromEntries(GUARD_CLOSE_REASONS.map((reason) => [reason, 0])) as Record<
    GuardCloseReason,
    number
  >
  #hearsRequests = false
  #stopped = false

  /** @internal */
  constructor(server: Server, settings: GuardSettings) {
    this.#server = server
    this.#settings = settings
    this.#listenerOptions = new ListenerOptions(server, settings)
    this.#kind = kindOf(server)
    server.on('listening', this.#onListening)
    server.on('close', this.#onClose)
    server.on(connectionEvent(server), this.#onConnection)
    if (this.#kind === 'http1') this.#hearRequests()
    if (this.#kind === 'http2') server.prependListener('stream', this.#onStream)
    if (server.listening) this.#listenerOptions.begin()
  }

  /**
   * Returns what is guarded now, and what was ended so far. The cost grows with the number of
   * connections.
   */
  stats(): GuardStats {
    let streams = 0
    for (const connection of [...this.#connections.values()]) {
      if (!connection.checkClosed()) streams += connection.streams
    }
    return {
      connections: this.#connections.size,
      streams,
      closed: { ...this.#closed },
      inherited: this.#listenerOptions.active,
    }
  }

  /**
   * Stops the guard and removes its listeners. The listening socket gets its options back, and open
   * connections get TCP_USER_TIMEOUT and TCP_RTO_MAX_MS back. Connections that have inherited
   * keepalive keep it, because it never ends a living one; the others get their own settings back. The server may then be guarded again. Further calls do nothing.
   */
  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    const server = this.#server
    server.off('listening', this.#onListening)
    server.off('close', this.#onClose)
    server.off(connectionEvent(server), this.#onConnection)
    server.off('stream', this.#onStream)
    server.off('request', this.#onRequest)
    this.#listenerOptions.restore()
    for (const connection of [...this.#connections.values()]) connection.release()
    delete (server as Guardable)[GUARDED]
  }

  /** The same as `stop()`, for `using guard = guardServer(server)`. */
  [Symbol.dispose](): void {
    this.stop()
  }

  readonly #report = (info: GuardCloseInfo): void => {
    this.#closed[info.reason] += 1
    countUp(counters.guardClosed, info.reason)
    if (guardClose.hasSubscribers) {
      guardClose.publish({
        server: this.#server,
        info,
      } satisfies GuardMessages['tcp-sse:guard:close'])
    }
    isolated(() => this.#settings.onClose?.(info))
  }

  readonly #forget = ({ socket }: Connection): void => {
    this.#connections.delete(socket)
  }

  readonly #onListening = (): void => this.#listenerOptions.begin()

  readonly #onClose = (): void => this.#listenerOptions.forget()

  /** An HTTP server accepts any duplex stream as a connection. Only sockets can be guarded. */
  readonly #onConnection = (socket: unknown): void => {
    if (!(socket instanceof Socket) || socket.destroyed) return
    const connection = this.#take(socket)
    if (this.#kind === 'http2') this.#hearCompatibility()
    if (this.#kind === 'bare' && this.#settings.filter !== undefined) {
      connection.add(new BareExchange(systemClock.now()))
    }
  }

  readonly #onRequest = (
    req: IncomingMessage | Http2ServerRequest,
    res: ServerResponse | Http2ServerResponse,
  ): void => {
    if ('stream' in res) this.#completeStream(req as Http2ServerRequest, res)
    else this.#add(req.socket, new Http1Exchange(req as IncomingMessage, res, systemClock.now()))
  }

  /** Both HTTP/2 interfaces emit this event first. */
  readonly #onStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void => {
    this.#hearCompatibility()
    const exchange = new Http2Exchange(stream, headers[':path'], systemClock.now())
    this.#http2Exchanges.set(stream, exchange)
    this.#add(stream.session?.socket, exchange)
  }

  /**
   * A listener for `request` would turn on HTTP/2's compatibility API, so it is added only if the
   * application has one. HTTP/1 on an HTTP/2 server needs it, too.
   */
  #hearCompatibility(): void {
    if (this.#server.listenerCount('request') > 0) this.#hearRequests()
  }

  #hearRequests(): void {
    if (this.#hearsRequests) return
    this.#hearsRequests = true
    this.#server.prependListener('request', this.#onRequest)
  }

  /** Adds the compatibility API's objects to a stream that is already guarded, for `filter`. */
  #completeStream(req: Http2ServerRequest, res: Http2ServerResponse): void {
    const exchange = this.#http2Exchanges.get(res.stream)
    if (exchange === undefined) return
    exchange.req = req
    exchange.res = res
  }

  #add(socket: unknown, exchange: Exchange): void {
    if (!(socket instanceof Socket)) return
    const real = socketOf(socket)
    if (!real.destroyed) this.#take(real).add(exchange)
  }

  /** A connection that is older than the guard is guarded from its next request on. */
  #take(socket: Socket): Connection {
    const known = this.#connections.get(socket)
    if (known !== undefined) return known
    const connection = new Connection(
      socket,
      this.#settings,
      this.#listenerOptions.optionsBefore(socket),
      this.#report,
      this.#forget,
    )
    this.#connections.set(socket, connection)
    return connection
  }
}

/**
 * Shared by all copies of this library: an application may have loaded it both as ESM and as
 * CommonJS.
 */
const GUARDED = Symbol.for('tcp-sse.guarded')

type Guardable = Server & { [GUARDED]?: true }

/**
 * Guards a server, including all code that answers its requests, without changes to either. Peers
 * that have fallen silent are closed with RST within `detectWithin` + 1 s. Event streams whose
 * clients take nothing for `stallTimeout` are closed, too.
 *
 * Accepts servers of `node:http`, `node:https`, `node:http2` (secure or not), `node:net` and
 * `node:tls`, before or after `listen`. Connections that are already open are guarded from their
 * next request on, because Node does not list them.
 *
 * @throws {TcpSseError} `ERR_NOT_A_SERVER`; `ERR_ALREADY_GUARDED` until the first guard is stopped;
 * `ERR_OPTION_*`; `ERR_DETECT_WITHIN_TOO_SMALL`. The server is then unchanged
 * @example
 * import { guardServer } from 'tcp-sse'
 *
 * const server = app.listen(8080)
 * const guard = guardServer(server, { detectWithin: 10_000, onClose: ({ reason, url }) => console.log(reason, url) })
 */
export function guardServer(server: Server, options: GuardOptions = {}): Guard {
  if (!(server instanceof Server)) {
    const hint = "Pass what listen() returned, or the application's `server`."
    throw new TcpSseError('ERR_NOT_A_SERVER', `guardServer needs a Node.js server. ${hint}`)
  }
  if (GUARDED in server) {
    throw new TcpSseError(
      'ERR_ALREADY_GUARDED',
      'The server is already guarded. Call stop() on that guard first.',
    )
  }
  const guard = new Guard(server, guardSettings(options))
  Object.defineProperty(server, GUARDED, { value: true, configurable: true })
  return guard
}

/** HTTP/2 servers have no public class. Only they have `updateSettings`. */
function kindOf(server: Server): 'http1' | 'http2' | 'bare' {
  if ('updateSettings' in server) return 'http2'
  return server instanceof http.Server || server instanceof https.Server ? 'http1' : 'bare'
}

/** TLS wraps the connection in another socket, and requests and sessions refer to that one. */
function connectionEvent(server: Server): 'connection' | 'secureConnection' {
  return server instanceof tls.Server ? 'secureConnection' : 'connection'
}
