// What the outlets over HTTP/1 and HTTP/2 share.
import type {
  IncomingMessage,
  OutgoingHttpHeader,
  OutgoingHttpHeaders,
  ServerResponse,
} from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import { TcpSseError } from '../errors.js'
import type { Refusal } from '../stream/admission.js'
import type { Lane } from '../stream/lane.js'
import type { StreamSettings } from '../stream/options.js'
import type { Outlet, OutletListener } from '../stream/outlet.js'

/** A request of `node:http`, `node:https` or `node:http2`. */
export type NodeRequest = IncomingMessage | Http2ServerRequest
/** A response of the same. */
export type NodeResponse = ServerResponse | Http2ServerResponse

/** Anything but the head is refused: `no-transform` keeps compressors away, the X- header nginx's buffer. */
const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
}

/** The application's own win, however they are spelt (RFC 9110, 5.1). */
function headOf(own: StreamSettings['headers'] = {}): OutgoingHttpHeaders {
  const head: OutgoingHttpHeaders = { ...HEADERS }
  for (const [name, value] of Object.entries(own)) {
    delete head[name.toLowerCase()]
    head[name] = value as OutgoingHttpHeader
  }
  return head
}

/** In place of the stream's own head; the application's further headers (CORS) stay. */
const REFUSED: OutgoingHttpHeaders = {
  'content-type': 'text/plain; charset=utf-8',
  'cache-control': 'no-store',
}

const REFUSED_BECAUSE = {
  drained: 'The server is shutting down.',
  refused: 'There are too many event streams.',
} as const

function without(head: OutgoingHttpHeaders, names: object): OutgoingHttpHeaders {
  return Object.fromEntries(
    Object.entries(head).filter(([name]) => !Object.hasOwn(names, name.toLowerCase())),
  )
}

/** The outlet of a response or of a connection: one listener for all of them, and none made for each. */
export const OUTLET = Symbol('tcp-sse.outlet')

/** What carries an outlet. */
export interface Carrier {
  [OUTLET]?: NodeOutlet<NodeRequest, NodeResponse> | undefined
}

function onDrain(this: Carrier): void {
  this[OUTLET]?.onDrain()
}

function onClose(this: Carrier): void {
  this[OUTLET]?.onClose()
}

/** A request and a response of Node's, as an outlet. */
export abstract class NodeOutlet<Req extends NodeRequest, Res extends NodeResponse>
  implements Outlet
{
  protected readonly res: Res
  readonly socket: Socket | undefined
  protected listener: OutletListener | undefined = undefined
  #awaitsDrain = false

  constructor(res: Res, socket: Socket | undefined) {
    this.res = res
    this.socket = socket
  }

  protected get req(): Req {
    return this.res.req as Req
  }

  abstract readonly multiplexed: boolean
  abstract readonly finished: boolean
  abstract readonly pending: number
  abstract readonly start: number | undefined
  abstract readonly position: number | undefined
  abstract readonly lane: Lane | undefined
  abstract checkPosition(): void
  abstract expectPeerEnd(): void
  abstract isDrained(): boolean | undefined
  abstract stalledFor(now: number, connection: number): number
  abstract discardUnread(): void
  abstract destroy(entirely: boolean): void
  /** Whether the response itself is over. */
  protected abstract readonly over: boolean
  /** The head has just been written. */
  protected abstract opened(settings: StreamSettings): void

  get writable(): boolean {
    return !this.res.writableEnded && !this.res.destroyed
  }

  /** Not asked of the request: it counts as destroyed as soon as its body has been read. */
  get closed(): boolean {
    const { socket } = this
    return this.over || (socket !== undefined && (socket.destroyed || socket.readableEnded))
  }

  get error(): Error | undefined {
    return this.socket?.errored ?? undefined
  }

  /** Writes the head. A HEAD request gets that and nothing else. */
  open(settings: StreamSettings): void {
    const { req, res } = this
    this.#checkBegun()
    // Not by `setHeader`, whose table would stay in memory as long as the stream.
    ;(res as ServerResponse).writeHead(res.statusCode, headOf(settings.headers))
    if (req.method === 'HEAD') {
      res.end()
      return
    }
    // HTTP/2's compatibility response has it too; its types do not say so.
    ;(res as unknown as { flushHeaders(): void }).flushHeaders()
    // Any Duplex can carry a response; only a socket has these.
    if (this.socket !== undefined) {
      res.setTimeout(0)
      req.setTimeout(0)
      this.socket.setNoDelay(true)
    }
    this.opened(settings)
  }

  /** Answers with 503 in place of a stream. */
  refuse({ headers }: StreamSettings, { reason, retryAfter }: Refusal): void {
    this.#checkBegun()
    const head: OutgoingHttpHeaders = { ...without(headOf(headers), REFUSED), ...REFUSED }
    head['retry-after'] = String(retryAfter)
    // HTTP/2 has no such header. Over HTTP/1 a server that goes would have to wait for the connection's next request.
    if (reason === 'drained' && !this.multiplexed) head.connection = 'close'
    ;(this.res as ServerResponse).writeHead(503, head)
    this.res.end(`${REFUSED_BECAUSE[reason]}\n`)
  }

  #checkBegun(): void {
    if (!this.res.headersSent && !this.res.writableEnded) return
    throw new TcpSseError('ERR_HEADERS_SENT', 'The response has been started by somebody else.')
  }

  listen(listener: OutletListener): void {
    this.listener = listener
    ;(this.res as Carrier)[OUTLET] = this as unknown as NodeOutlet<NodeRequest, NodeResponse>
    this.res.on('close', onClose)
  }

  unlisten(): void {
    this.res.off('close', onClose)
    this.#forgetDrain()
  }

  write(bytes: Buffer): boolean {
    const room = (this.res as unknown as { write(bytes: Buffer): boolean }).write(bytes)
    if (!room) this.awaitDrain()
    return room
  }

  writeText(_text: string): number {
    return -1
  }

  /** Listens for Node's word that there is room again; only then, so that an idle response carries nothing for it. */
  protected awaitDrain(): void {
    if (this.#awaitsDrain) return
    this.#awaitsDrain = true
    this.res.on('drain', onDrain)
  }

  #forgetDrain(): void {
    if (!this.#awaitsDrain) return
    this.#awaitsDrain = false
    this.res.off('drain', onDrain)
  }

  end(): void {
    this.res.end()
  }

  /** Node has room again. */
  protected drained(): void {
    this.listener?.onDrain()
  }

  /** @internal */
  onDrain(): void {
    this.#forgetDrain()
    this.drained()
  }

  /** @internal */
  onClose(): void {
    this.listener?.onClose()
  }
}
