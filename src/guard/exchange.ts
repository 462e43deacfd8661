// A response of somebody else's, seen from outside: nothing of it is patched, no listener is put on it.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { discardUnread } from '../internal/unread-body.js'
import { resetConnection, sentHeadOf } from '../native/binding.js'
import { type ConnectionSample, Http2Progress } from './http2-progress.js'
import type { GuardedRequest, GuardedResponse } from './options.js'

/** A response under guard, or a bare connection that the filter takes for one. */
export interface Exchange {
  readonly req: GuardedRequest
  readonly res: GuardedResponse
  /** When its request came, on the monitor's clock. */
  readonly openedAt: number
  readonly url: string | undefined
  /** Whether the connection is its own while it lasts. */
  readonly exclusive: boolean
  /** Whether its end has been handed over, or it is gone. */
  readonly over: boolean
  /** Whether its head has been sent, so that it can be judged. */
  readonly begun: boolean
  /** Whether its head says `text/event-stream`. */
  readonly isEventStream: boolean
  /** Milliseconds for which its client has taken nothing though something waited. Called at every look. */
  stalledFor(look: ConnectionSample): number
  /** Throws away request data that nobody reads and that hides the client's FIN. */
  discardUnread(): void
  /**
   * Gives it up, at once or (`close`) after what the kernel holds already.
   *
   * @returns whether that is all: otherwise the connection has to be closed later, when its client has had time to leave
   */
  end(how: Ending, socket: Socket): boolean
}

export type Ending = 'reset' | 'close'

const EVENT_STREAM = /^\s*text\/event-stream\s*(?:;|$)/i
const IS_CONTENT_TYPE = /^content-type$/i
const CONTENT_TYPE = /^content-type:(.*)$/im

/** A response over HTTP/1: while it lasts, the connection is its own. */
export class Http1Exchange implements Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly openedAt: number
  readonly exclusive = true

  constructor(req: IncomingMessage, res: ServerResponse, openedAt: number) {
    this.req = req
    this.res = res
    this.openedAt = openedAt
  }

  get url(): string | undefined {
    return this.req.url
  }

  get over(): boolean {
    return this.res.writableFinished || this.res.destroyed
  }

  get begun(): boolean {
    return this.res.headersSent
  }

  get isEventStream(): boolean {
    const sent = CONTENT_TYPE.exec(sentHeadOf(this.res) ?? '')?.[1]
    return EVENT_STREAM.test(sent ?? String(this.res.getHeader('content-type') ?? ''))
  }

  /** A stall of an earlier response on the connection is none of this one's. */
  stalledFor({ now, stalledFor }: ConnectionSample): number {
    return Math.min(stalledFor, now - this.openedAt)
  }

  discardUnread(): void {
    discardUnread(this.req)
  }

  /**
   * `close(2)` with request data unread, or still coming, sends RST in place of FIN, and the rest of the response is lost.
   * So only this side is ended then. What the application writes afterwards Node keeps to itself.
   */
  end(how: Ending, socket: Socket): boolean {
    if (how === 'close' && !this.req.complete) {
      this.discardUnread()
      socket.end()
      return false
    }
    return endConnection(socket, how)
  }
}

/** One stream of an HTTP/2 connection; the others on it live on. */
export class Http2Exchange implements Exchange {
  req: Http2ServerRequest | undefined
  res: Http2ServerResponse | ServerHttp2Stream
  readonly openedAt: number
  readonly url: string | undefined
  readonly exclusive = false
  readonly #stream: ServerHttp2Stream
  readonly #progress: Http2Progress

  constructor(stream: ServerHttp2Stream, url: string | undefined, openedAt: number) {
    this.#stream = stream
    this.res = stream
    this.url = url
    this.openedAt = openedAt
    this.#progress = new Http2Progress(stream, openedAt)
  }

  get over(): boolean {
    return this.#stream.destroyed || this.#stream.closed
  }

  get begun(): boolean {
    return this.#stream.headersSent
  }

  get isEventStream(): boolean {
    // As the application spelt them: the core API puts the names into lower case on the wire only.
    const sent = Object.entries(this.#stream.sentHeaders ?? {})
    return sent.some(([name, value]) => IS_CONTENT_TYPE.test(name) && EVENT_STREAM.test(`${value}`))
  }

  stalledFor(look: ConnectionSample): number {
    return this.#progress.stalledFor(look)
  }

  /** A body that waits in one stream hides nothing: the session reads on. */
  discardUnread(): void {}

  /**
   * `close` alone would only end the writable side now, and the next write of foreign code would be an error event that
   * nobody listens to. After `destroy` writes are quietly refused; the RST_STREAM that `close` asked for is still sent.
   */
  end(how: Ending): boolean {
    this.#stream.close(how === 'reset' ? HTTP2_CANCEL : HTTP2_NO_ERROR)
    this.#stream.destroy()
    return true
  }
}

/** RFC 9113, 7. */
const HTTP2_NO_ERROR = 0
const HTTP2_CANCEL = 8

/** A connection of a `net` or `tls` server. It has no head: only a filter can take it for a stream. */
export class BareExchange implements Exchange {
  readonly req = undefined
  readonly res = undefined
  readonly url = undefined
  readonly exclusive = true
  readonly begun = true
  readonly isEventStream = false
  readonly openedAt: number
  /** As long as its connection. */
  readonly over = false

  constructor(openedAt: number) {
    this.openedAt = openedAt
  }

  stalledFor({ stalledFor }: ConnectionSample): number {
    return stalledFor
  }

  discardUnread(): void {}

  end(how: Ending, socket: Socket): boolean {
    return endConnection(socket, how)
  }
}

function endConnection(socket: Socket, how: Ending): true {
  if (how === 'reset') resetConnection(socket)
  else socket.destroy()
  return true
}
