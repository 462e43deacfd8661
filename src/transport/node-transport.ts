// The common part of the transports over HTTP/1 and HTTP/2.
import type { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import { TcpSseError } from '../internal/errors.js'
import { type GuardEnd, guardEndOf } from '../internal/guard-ends.js'
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
/** A response of `node:http`, `node:https` or `node:http2`. */
export type NodeResponse = ServerResponse | Http2ServerResponse

/** Methods that both kinds of response have with different types, and a method that a compressor adds. */
interface Written {
  write(bytes: Buffer): boolean
  flush?(): void
}

/**
 * The property that holds the transport of a response or a connection. It allows one listener function for all of them.
 */
export const TRANSPORT = Symbol('tcp-sse.transport')

/** An object that has a transport. */
export interface Carrier {
  [TRANSPORT]?: NodeTransport<NodeRequest, NodeResponse> | undefined
}

function onClose(this: Carrier): void {
  this[TRANSPORT]?.onClose()
}

/** A transport over Node's request and response. */
export abstract class NodeTransport<Req extends NodeRequest, Res extends NodeResponse>
  implements Transport
{
  protected readonly res: Res
  readonly socket: Socket | undefined
  protected listener: TransportListener | undefined = undefined
  #onDrain: (() => void) | undefined = undefined
  /** Whether this response holds the connection's idle timer. */
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
  /** Whether everything was passed on and the end was sent. */
  protected abstract readonly finished: boolean
  protected abstract stalledFor(sample: TransportSample): number
  /** The object with the idle timer: the socket or the session. */
  protected abstract readonly timed: Timed | undefined
  /** Whether the response has ended. */
  protected abstract readonly ended: boolean
  /** Whether the response has ended and emitted `close`. */
  protected abstract readonly gone: boolean
  /** Whether Node will still emit `drain`. */
  protected abstract readonly needsDrain: boolean
  /** Called after the head was written. */
  protected abstract opened(settings: TransportSettings): void

  get ledger(): Ledger | undefined {
    return undefined
  }

  /** Whether the application has ended or destroyed what carries the response. Its events have not come yet. */
  protected get closing(): boolean {
    return this.socket?.destroyed || this.socket?.writableEnded || false
  }

  get writable(): boolean {
    return !this.res.writableEnded && !this.res.destroyed && !this.closing
  }

  /** Does not check the request, which counts as destroyed as soon as its body has been read. */
  get over(): 'finished' | 'gone' | GuardEnd | undefined {
    const { socket } = this
    const isOver = this.ended || socket?.destroyed || socket?.readableEnded
    if (!isOver) return undefined
    return this.finished ? 'finished' : (guardEndOf(this.res) ?? 'gone')
  }

  /** Writes the head. The response to a HEAD request has nothing else. */
  open(settings: TransportSettings): void {
    const { req, res } = this
    refuseBodyless(res.statusCode)
    this.makeFit(settings)
    // Do not use `setHeader`: its table would stay in memory as long as the stream.
    const head = headOf(settings.headers, this.multiplexed)
    ;(res as ServerResponse).writeHead(res.statusCode, head)
    if (req.method === 'HEAD') {
      res.end()
      return
    }
    // The compatibility response of HTTP/2 has this method, but its type does not.
    ;(res as unknown as { flushHeaders(): void }).flushHeaders()
    this.write(FIRST_BYTES)
    this.prepare()
    this.opened(settings)
  }

  /** Answers with 503 instead of a stream. */
  refuse(settings: TransportSettings, refusal: Refusal): void {
    this.makeFit(settings, true)
    const { multiplexed } = this
    const { head, body } = refusedAnswer(settings.headers, refusal, !multiplexed, multiplexed)
    ;(this.res as ServerResponse).writeHead(REFUSED_STATUS, head)
    this.res.end(body)
  }

  /**
   * Checks the response and removes headers that a stream cannot have. If this throws, the response is unchanged.
   *
   * @throws {TcpSseError} `ERR_HEADERS_SENT`; `ERR_OPTION_VALUE` for a header that the protocol forbids, or its values
   */
  makeFit({ headers }: TransportSettings, refused = false): void {
    const { res, multiplexed } = this
    if (res.headersSent || res.writableEnded) {
      throw new TcpSseError(
        'ERR_HEADERS_SENT',
        'The response has already been started or ended. Create the stream before anything is written.',
      )
    }
    // If Node's methods have been overridden, the overriding code may do the encoding.
    const fit = { version: this.req.httpVersion, coding: isBypassable(res), refused }
    if (multiplexed) checkForHttp2(headers, res.getHeaders(), fit)
    takeOff(res, fit)
  }

  /** Called after `makeFit` if other code sends a body of a known length in place of a stream. */
  expectLength(): void {
    const { res } = this
    if (res.hasHeader('transfer-encoding')) res.removeHeader('transfer-encoding')
  }

  /** Called when other code that writes to the response has made progress. */
  noteProgress(): void {}

  /** Prepares the connection for a long response. A Duplex can carry one too, but only a socket has these methods. */
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

  sample(sample: TransportSample): number | undefined {
    if (this.#isGone()) return undefined
    if (sample.discardBody) this.discardBody()
    return this.stalledFor(sample)
  }

  /** An unread body hides nothing by default: an HTTP/2 session keeps reading. */
  protected discardBody(): void {}

  /**
   * Restores listeners that the application has removed with `removeAllListeners`, and reports events that were missed.
   */
  #isGone(): boolean {
    if (this.gone) {
      this.onClose()
      return true
    }
    const emitter: EventEmitter = this.res
    if (emitter.listenerCount('close', onClose) === 0) emitter.on('close', onClose)
    // A compressor has moved the listener.
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
    // The `compression` middleware adds this method. Node's deprecated method of the same name was on a prototype.
    if (Object.hasOwn(res, 'flush')) flushSoon(res)
    if (!room) this.awaitDrain()
    return room
  }

  /**
   * Listens for `drain`, from the first write that returns `false`, so that an idle response has no listener for it.
   * The listener is a closure that stays until the end: the `compression` middleware moves it to a stream of its own,
   * where neither `this` nor `off` work.
   */
  protected awaitDrain(): void {
    if (this.#onDrain !== undefined) return
    this.#onDrain = () => this.drained()
    this.res.on('drain', this.#onDrain)
  }

  end(): void {
    // The connection's own options are restored, so the stream is no longer sampled: check it now.
    this.#isGone()
    this.res.end()
  }

  /** Called on `drain`. */
  protected drained(): void {
    this.listener?.onDrain()
  }

  /** @internal */
  onClose(): void {
    this.listener?.onClose()
  }
}

/**
 * Corks the connection for this tick, as Node does for the first write of a tick. Node 26 corks the response instead,
 * and makes one chunk of everything written in the tick, so that the position of an event's end would be unknown. It
 * does not do this for a connection that is already corked.
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

/**
 * Schedules a flush, because a compressor holds small writes back. One flush per tick is enough, and compresses a burst
 * as a whole.
 */
function flushSoon(res: Written): void {
  if (toFlush.size === 0) callAtEndOfTick(flushAll, toFlush)
  toFlush.add(res)
}

function flushAll(responses: Set<Written>): void {
  const all = [...responses]
  // Clear the set first: the next write must request the next flush, even if a `flush` throws or writes.
  responses.clear()
  for (const res of all) isolated(() => res.flush?.())
}

/** A transport over any of Node's responses. */
export type AnyNodeTransport =
  | NodeTransport<IncomingMessage, ServerResponse>
  | NodeTransport<Http2ServerRequest, Http2ServerResponse>
