// What the transports over HTTP/1 and HTTP/2 share.
import type { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import { TcpSseError } from '../internal/errors.js'
import { isolated } from '../internal/rethrow.js'
import { callAtEndOfTick } from '../internal/scheduling.js'
import { isBypassable } from './fast/hooks.js'
import {
  checkForHttp2,
  FIRST_BYTES,
  headOf,
  REFUSED_STATUS,
  type Refusal,
  refuseBodyless,
  refusedAnswer,
  type TransportSettings,
  takeOff,
} from './head.js'
import { giveBackIdleTimer, holdIdleTimer, type Timed } from './idle-timer.js'
import type { Ledger, Transport, TransportListener, TransportSample } from './transport.js'

/** A request of `node:http`, `node:https` or `node:http2`. */
export type NodeRequest = IncomingMessage | Http2ServerRequest
/** A response of the same. */
export type NodeResponse = ServerResponse | Http2ServerResponse

/** What both kinds of response have, which their types do not agree about, and what a compressor adds. */
interface Written {
  write(bytes: Buffer): boolean
  flush?(): void
}

/** The transport of a response or of a connection: one listener for all of them, and none made for each. */
export const TRANSPORT = Symbol('tcp-sse.transport')

/** What carries a transport. */
export interface Carrier {
  [TRANSPORT]?: NodeTransport<NodeRequest, NodeResponse> | undefined
}

function onClose(this: Carrier): void {
  this[TRANSPORT]?.onClose()
}

/** A request and a response of Node's, as a transport. */
export abstract class NodeTransport<Req extends NodeRequest, Res extends NodeResponse>
  implements Transport
{
  protected readonly res: Res
  readonly socket: Socket | undefined
  protected listener: TransportListener | undefined = undefined
  #onDrain: (() => void) | undefined = undefined
  /** Whether the connection's idle timer is off for this response. */
  #holds = false

  constructor(res: Res, socket: Socket | undefined) {
    this.res = res
    this.socket = socket
  }

  protected get req(): Req {
    return this.res.req as Req
  }

  /** Whether the connection carries other responses at the same time. */
  abstract readonly multiplexed: boolean
  abstract readonly buffered: number
  abstract closeConnectionAfter(): void
  abstract destroy(entirely: boolean): void
  /** Whether everything was handed over and the end was sent. */
  protected abstract readonly finished: boolean
  protected abstract stalledFor(look: TransportSample): number
  /** What has the idle timer: the socket, or the session. */
  protected abstract readonly timed: Timed | undefined
  /** Whether the response itself is over. */
  protected abstract readonly ended: boolean
  /** Whether it is, and its `close` has been emitted. */
  protected abstract readonly gone: boolean
  /** Whether Node has yet to say that there is room again. */
  protected abstract readonly needsDrain: boolean
  /** The head has just been written. */
  protected abstract opened(settings: TransportSettings): void

  get ledger(): Ledger | undefined {
    return undefined
  }

  get writable(): boolean {
    return !this.res.writableEnded && !this.res.destroyed
  }

  /** Not asked of the request: it counts as destroyed as soon as its body has been read. */
  get over(): 'finished' | 'gone' | undefined {
    const { socket } = this
    const isOver = this.ended || socket?.destroyed || socket?.readableEnded
    if (!isOver) return undefined
    return this.finished ? 'finished' : 'gone'
  }

  /** Writes the head. A HEAD request gets that and nothing else. */
  open(settings: TransportSettings): void {
    const { req, res } = this
    refuseBodyless(res.statusCode)
    this.makeFit(settings)
    // Not by `setHeader`, whose table would stay in memory as long as the stream.
    const head = headOf(settings.headers, this.multiplexed)
    ;(res as ServerResponse).writeHead(res.statusCode, head)
    if (req.method === 'HEAD') {
      res.end()
      return
    }
    // HTTP/2's compatibility response has it too; its types do not say so.
    ;(res as unknown as { flushHeaders(): void }).flushHeaders()
    this.write(FIRST_BYTES)
    this.prepare()
    this.opened(settings)
  }

  /** Answers with 503 in place of a stream. */
  refuse(settings: TransportSettings, refusal: Refusal): void {
    this.makeFit(settings)
    const { multiplexed } = this
    const { head, body } = refusedAnswer(settings.headers, refusal, !multiplexed, multiplexed)
    ;(this.res as ServerResponse).writeHead(REFUSED_STATUS, head)
    this.res.end(body)
  }

  /**
   * Takes off the response what a stream cannot have. Nothing has been done to it where that throws.
   *
   * @throws {TcpSseError} `ERR_HEADERS_SENT`; `ERR_OPTION_VALUE` for a header that the protocol does not allow
   */
  makeFit({ headers }: TransportSettings): void {
    const { res, multiplexed } = this
    if (res.headersSent || res.writableEnded) {
      throw new TcpSseError('ERR_HEADERS_SENT', 'The response has been started by somebody else.')
    }
    if (multiplexed) checkForHttp2(headers)
    // Where somebody has overridden Node's methods, that may be who encodes.
    takeOff(res, { version: this.req.httpVersion, coding: isBypassable(res) })
  }

  /** Somebody else writes here, and has been able to write more. */
  noteProgress(): void {}

  /** Makes the connection fit for a response that lasts. Any Duplex can carry one; only a socket has these. */
  prepare(): void {
    const { timed } = this
    if (timed !== undefined) this.#holds = holdIdleTimer(timed)
    if (this.socket === undefined) return
    this.res.setTimeout(0)
    this.req.setTimeout(0)
    this.socket.setNoDelay(true)
  }

  listen(listener: TransportListener | undefined): void {
    this.listener = listener
    if (listener === undefined) {
      this.unlisten()
      return
    }
    ;(this.res as Carrier)[TRANSPORT] = this as unknown as NodeTransport<NodeRequest, NodeResponse>
    this.res.on('close', onClose)
  }

  sample(look: TransportSample): number | undefined {
    if (this.#isGone()) return undefined
    if (look.discardBody) this.discardBody()
    return this.stalledFor(look)
  }

  /** A body that waits in one response of several hides nothing: the session reads on. */
  protected discardBody(): void {}

  /** Puts back listeners that an application has removed with `removeAllListeners`, and tells what has been missed. */
  #isGone(): boolean {
    if (this.gone) {
      this.onClose()
      return true
    }
    const emitter: EventEmitter = this.res
    if (emitter.listenerCount('close', onClose) === 0) emitter.on('close', onClose)
    // Behind a compressor it is somewhere else.
    if (this.#onDrain === undefined || Object.hasOwn(emitter, 'on')) return false
    if (emitter.listenerCount('drain', this.#onDrain) > 0) return false
    emitter.on('drain', this.#onDrain)
    if (!this.needsDrain) this.drained()
    return false
  }

  protected unlisten(): void {
    const { timed } = this
    if (this.#holds && timed !== undefined) giveBackIdleTimer(timed)
    this.#holds = false
    this.res.off('close', onClose)
    if (this.#onDrain !== undefined) this.res.off('drain', this.#onDrain)
  }

  write(bytes: Buffer): boolean {
    const res = this.res as unknown as Written
    const room = res.write(bytes)
    // The `compression` middleware puts it there. Node's own of that name, deprecated and long gone, was a prototype's.
    if (Object.hasOwn(res, 'flush')) flushSoon(res)
    if (!room) this.awaitDrain()
    return room
  }

  /**
   * Listens for Node's word that there is room again: from the first time that there is none, so that an idle response
   * carries nothing for it. Its own closure, and kept to the end: the `compression` middleware moves this listener to a
   * stream of its own, where neither `this` nor `off` reach it.
   */
  protected awaitDrain(): void {
    if (this.#onDrain !== undefined) return
    this.#onDrain = () => this.drained()
    this.res.on('drain', this.#onDrain)
  }

  end(): void {
    // Nobody looks at the stream any more when its connection has its own options back.
    this.#isGone()
    this.res.end()
  }

  /** Node has room again. */
  protected drained(): void {
    this.listener?.onDrain()
  }

  /** @internal */
  onClose(): void {
    this.listener?.onClose()
  }
}

/**
 * What Node does for each tick's first write. Node 26 corks the response in place of the connection, and makes one chunk
 * of all that is written until the tick's end: where an event ends on the wire, nobody could tell then. It leaves a
 * connection alone that is corked already.
 */
export function corkForThisTick(socket: Socket | null): void {
  if (socket === null || socket.writableCorked > 0) return
  socket.cork()
  callAtEndOfTick(uncork, socket)
}

function uncork(socket: Socket): void {
  socket.uncork()
}

const toFlush = new Set<Written>()

/** A compressor keeps small writes to itself; once a tick is enough, and compresses a burst as one. */
function flushSoon(res: Written): void {
  if (toFlush.size === 0) callAtEndOfTick(flushAll, toFlush)
  toFlush.add(res)
}

function flushAll(responses: Set<Written>): void {
  const all = [...responses]
  // First: whatever a `flush` does, the next write asks for the next one.
  responses.clear()
  for (const res of all) isolated(() => res.flush?.())
}

/** Any of the transports over a response of Node's. */
export type AnyNodeTransport =
  | NodeTransport<IncomingMessage, ServerResponse>
  | NodeTransport<Http2ServerRequest, Http2ServerResponse>
