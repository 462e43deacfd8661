// node:http, node:https, and node:http2's compatibility API: a request and a response become an outlet.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { Socket } from 'node:net'
import { TcpSseError } from '../errors.js'
import { resetConnection, socketOf } from '../socket/binding.js'
import { EventStream } from '../stream/event-stream.js'
import { type EventStreamOptions, type StreamSettings, streamSettings } from '../stream/options.js'
import type { Outlet, OutletListener } from '../stream/outlet.js'

/** A request of `node:http`, `node:https` or `node:http2`. */
export type NodeRequest = IncomingMessage | Http2ServerRequest
/** A response of the same. */
export type NodeResponse = ServerResponse | Http2ServerResponse

/**
 * Answers a request with an event stream: writes the head at once and returns the stream. A client that has left
 * already gets a stream that is closed from the start, with the reason.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`, `ERR_DETECT_WITHIN_TOO_SMALL`; `ERR_NOT_A_RESPONSE`; `ERR_HEADERS_SENT`.
 * Nothing has been sent then.
 * @example
 * http.createServer((req, res) => {
 *   const stream = createEventStream(req, res, { detectWithin: 10_000 })
 *   stream.send({ event: 'tick', id: '1', data: { n: 1 } })
 *   stream.closed.then(({ reason }) => console.log(reason))
 * })
 */
export function createEventStream(
  req: NodeRequest,
  res: NodeResponse,
  options: EventStreamOptions = {},
): EventStream {
  const settings = streamSettings(options)
  const outlet = new NodeOutlet(req, res)
  if (!outlet.closed) outlet.open(settings)
  return new EventStream(outlet, settings, lastEventIdOf(req))
}

/** Header values are Latin-1 to Node; the ids in them are UTF-8 (HTML Standard, 9.2.4). */
function lastEventIdOf(req: NodeRequest): string {
  const value = req.headers['last-event-id']
  return typeof value === 'string' ? Buffer.from(value, 'latin1').toString() : ''
}

/** Anything but the head is refused: `no-transform` keeps compressors away, the X- header nginx's buffer. */
const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
}

class NodeOutlet implements Outlet {
  readonly #req: NodeRequest
  readonly #res: NodeResponse
  readonly socket: Socket | undefined
  #listener: OutletListener | undefined

  constructor(req: NodeRequest, res: NodeResponse) {
    if (!isExchange(req, res)) {
      throw new TcpSseError(
        'ERR_NOT_A_RESPONSE',
        'createEventStream(req, res) needs the request and response of a Node server.',
      )
    }
    this.#req = req
    this.#res = res
    this.socket = connectionOf(req)
  }

  /** On HTTP/2 a stream that the client cancelled counts as finished for Node; its error code tells. */
  get finished(): boolean {
    const res = this.#res
    return res.writableFinished && (!('stream' in res) || res.stream.rstCode === 0)
  }

  get writable(): boolean {
    return !this.#res.writableEnded && !this.#res.destroyed
  }

  /** Not asked of the request: it counts as destroyed as soon as its body has been read. */
  get closed(): boolean {
    const { socket } = this
    return (
      this.#res.destroyed ||
      this.#res.writableFinished ||
      (socket !== undefined && (socket.destroyed || socket.readableEnded))
    )
  }

  get error(): Error | undefined {
    return this.socket?.errored ?? undefined
  }

  /** Writes the head. A HEAD request gets that and nothing else. */
  open({ headers }: StreamSettings): void {
    const res = this.#res
    if (res.headersSent || res.writableEnded) {
      throw new TcpSseError('ERR_HEADERS_SENT', 'The response has been started by somebody else.')
    }
    for (const [name, value] of Object.entries({ ...HEADERS, ...headers })) {
      res.setHeader(name, value as string)
    }
    if (this.#req.method === 'HEAD') {
      res.end()
      return
    }
    // HTTP/2's compatibility response has it too; its types do not say so.
    ;(res as ServerResponse).flushHeaders()
    res.setTimeout(0)
    this.#req.setTimeout(0)
    this.socket?.setNoDelay(true)
  }

  listen(listener: OutletListener): void {
    this.#listener = listener
    this.#res.on('drain', this.#onDrain)
    this.#res.on('close', this.#onClose)
  }

  unlisten(): void {
    this.#res.off('drain', this.#onDrain)
    this.#res.off('close', this.#onClose)
  }

  write(bytes: Buffer): boolean {
    return (this.#res as ServerResponse).write(bytes)
  }

  /**
   * A body larger than the receive window keeps the client's FIN from ever arriving, and its kernel goes on answering:
   * no look at our side of the connection can tell. So a body that nobody has begun to read (or paused) by the time of
   * a look is discarded, as Node itself does when a response ends.
   */
  discardUnread(): void {
    const req = this.#req
    if (req.complete || req.readableFlowing !== null || req.listenerCount('readable') > 0) return
    req.resume()
  }

  end(): void {
    this.#res.end()
  }

  /** On HTTP/2 one stream of many: the others on the connection live on. */
  destroy(): void {
    if ('stream' in this.#res) this.#res.stream.close(HTTP2_CANCEL)
    else if (this.socket !== undefined) resetConnection(this.socket)
    else this.#res.destroy()
  }

  readonly #onDrain = () => this.#listener?.onDrain()
  readonly #onClose = () => this.#listener?.onClose()
}

/** RFC 9113, 7: the stream is no longer needed. */
const HTTP2_CANCEL = 8

function isExchange(req: NodeRequest, res: NodeResponse): boolean {
  return (
    typeof req === 'object' &&
    typeof res === 'object' &&
    req !== null &&
    res !== null &&
    typeof req.headers === 'object' &&
    typeof res.setHeader === 'function' &&
    typeof res.write === 'function'
  )
}

/** The connection itself: on HTTP/2 the session's, which its proxy hides. */
function connectionOf(req: NodeRequest): Socket | undefined {
  const socket = 'stream' in req ? req.stream.session?.socket : req.socket
  return socket instanceof Socket ? socketOf(socket) : undefined
}
