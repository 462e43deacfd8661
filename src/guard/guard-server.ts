// Protection for servers and libraries that we did not write: only public events of the server are listened to.
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

/** A guard's figures at one moment. */
export interface GuardStats {
  /** Connections under guard now. */
  readonly connections: number
  /** Responses on them that are event streams, by content type or `filter`. */
  readonly streams: number
  /** What the guard has ended so far, by reason: as often as `onClose` was called. */
  readonly closed: Readonly<Record<GuardCloseReason, number>>
  /** Whether connections inherit the options from the listening socket; otherwise each is set up by itself. */
  readonly inherited: boolean
}

/**
 * What keeps watch over a server. Made by `guardServer`.
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

  /** What is under guard now, and what it has ended so far. Its cost grows with the connections. */
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
   * Ends the guard: its listeners are removed, the listening socket gets its options back, and so do open connections
   * their TCP_USER_TIMEOUT and TCP_RTO_MAX_MS; they keep keepalive, which never ends a living one. The server may then be guarded again.
   * Further calls do nothing.
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

  /** Any duplex stream may be handed to an HTTP server; only sockets have a kernel behind them. */
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

  /** Both of HTTP/2's interfaces begin here. */
  readonly #onStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void => {
    this.#hearCompatibility()
    const exchange = new Http2Exchange(stream, headers[':path'], systemClock.now())
    this.#http2Exchanges.set(stream, exchange)
    this.#add(stream.session?.socket, exchange)
  }

  /**
   * A listener for `request` would switch HTTP/2's compatibility API on, so it is added only where the application has
   * one. HTTP/1 on an HTTP/2 server goes the same way.
   */
  #hearCompatibility(): void {
    if (this.#server.listenerCount('request') > 0) this.#hearRequests()
  }

  #hearRequests(): void {
    if (this.#hearsRequests) return
    this.#hearsRequests = true
    this.#server.prependListener('request', this.#onRequest)
  }

  /** The compatibility API's names for a stream that is under guard already; `filter` wants them. */
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

  /** A connection from before the guard comes under it with its first request. */
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

/** Known to every copy of this library: an application may have loaded it as ESM and as CommonJS. */
const GUARDED = Symbol.for('tcp-sse.guarded')

type Guardable = Server & { [GUARDED]?: true }

/**
 * Guards a server and whatever answers its requests, without a change to either: peers that have fallen silent are
 * closed with RST within `detectWithin` + 1 s, event streams whose clients take nothing for `stallTimeout` too.
 *
 * Takes servers of `node:http`, `node:https`, `node:http2` (secure or not), `node:net` and `node:tls`, before or after
 * `listen`. Connections that are open already come under guard with their next request; Node lists none.
 *
 * @throws {TcpSseError} `ERR_NOT_A_SERVER`; `ERR_ALREADY_GUARDED` until the first guard is stopped; `ERR_OPTION_*`;
 * `ERR_DETECT_WITHIN_TOO_SMALL`. The server is untouched then.
 * @example
 * import { guardServer } from 'tcp-sse'
 *
 * const server = app.listen(8080)
 * const guard = guardServer(server, { detectWithin: 10_000, onClose: ({ reason, url }) => console.log(reason, url) })
 */
export function guardServer(server: Server, options: GuardOptions = {}): Guard {
  if (!(server instanceof Server)) {
    const hint = 'What listen() returned, or the application’s `server`, is one.'
    throw new TcpSseError('ERR_NOT_A_SERVER', `guardServer needs a server of Node’s. ${hint}`)
  }
  if (GUARDED in server) {
    throw new TcpSseError('ERR_ALREADY_GUARDED', 'This server has a guard: stop() that one first.')
  }
  const guard = new Guard(server, guardSettings(options))
  Object.defineProperty(server, GUARDED, { value: true, configurable: true })
  return guard
}

/** HTTP/2 servers have no class that can be asked for; only they can have their settings updated. */
function kindOf(server: Server): 'http1' | 'http2' | 'bare' {
  if ('updateSettings' in server) return 'http2'
  return server instanceof http.Server || server instanceof https.Server ? 'http1' : 'bare'
}

/** TLS wraps the connection into another socket, and that is the one which requests and sessions come from. */
function connectionEvent(server: Server): 'connection' | 'secureConnection' {
  return server instanceof tls.Server ? 'secureConnection' : 'connection'
}
