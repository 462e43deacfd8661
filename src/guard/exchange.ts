// A response of application code, observed from outside: it is not patched, and gets no listeners.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { discardUnread } from '../internal/unread-body.js'
import { resetConnection, sentHeadOf } from '../native/binding.js'
import { type ConnectionSample, Http2Progress } from './http2-progress.js'
import type { GuardedRequest, GuardedResponse } from './options.js'

/** A guarded response, or a bare connection that the filter treats as one. */
export interface Exchange {
  readonly req: GuardedRequest
  readonly res: GuardedResponse
  /** When its request arrived, on the monitor's clock. */
  readonly openedAt: number
  readonly url: string | undefined
  /** Whether no other response uses the connection at the same time. */
  readonly exclusive: boolean
  /** Whether its end has been passed on, or it is destroyed. */
  readonly over: boolean
  /** Whether its head has been sent, so that it can be judged. */
  readonly begun: boolean
  /** Whether its head has the type `text/event-stream`. */
  readonly isEventStream: boolean
  /**
   * Milliseconds for which its client has taken nothing although bytes were waiting. Called for
   * each sample.
   */
  stalledFor(sample: ConnectionSample): number
  /**
   * Discards request data that the application does not read, because it hides the client's FIN.
   */
  discardUnread(): void
  /**
   * Ends it: at once (`reset`), or after the kernel has sent what it already holds (`close`).
   *
   * @returns whether that is all. Otherwise the connection must be closed later, when its client
   * has had time to leave
   */
  end(how: Ending, socket: Socket): boolean
}

export type Ending = 'reset' | 'close'

const EVENT_STREAM = /^\s*text\/event-stream\s*(?:;|$)/i
const IS_CONTENT_TYPE = /^content-type$/i
const CONTENT_TYPE = /^content-type:(.*)$/im

/** A response over HTTP/1, which has the connection to itself. */
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

  /** A stall of an earlier response on the connection does not count. */
  stalledFor({ now, stalledFor }: ConnectionSample): number {
    return Math.min(stalledFor, now - this.openedAt)
  }

  discardUnread(): void {
    discardUnread(this.req)
  }

  /**
   * If request data is unread or still arriving, `close(2)` sends RST in place of FIN, and the rest
   * of the response is lost. In that case only this side is ended. Node then discards what the
   * application writes.
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

/** One stream of an HTTP/2 connection. Other streams on it continue when it ends. */
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
    // Names as the application has written them: the core API lowercases them on the wire only.
    const sent = Object.entries(this.#stream.sentHeaders ?? {})
    return sent.some(([name, value]) => IS_CONTENT_TYPE.test(name) && EVENT_STREAM.test(`${value}`))
  }

  stalledFor(sample: ConnectionSample): number {
    return this.#progress.stalledFor(sample)
  }

  /** An unread body of one stream hides nothing, because the session reads on. */
  discardUnread(): void {}

  /**
   * `close` alone only ends the writable side, and the application's next write would emit an
   * unhandled error event. After `destroy`, writes are ignored. The RST_STREAM that `close`
   * requested is still sent.
   */
  end(how: Ending): boolean {
    this.#stream.close(how === 'reset' ? HTTP2_CANCEL : HTTP2_NO_ERROR)
    this.#stream.destroy()
    return true
  }
}

/** RFC 9113, section 7. */
const HTTP2_NO_ERROR = 0
const HTTP2_CANCEL = 8

/** A connection of a `net` or `tls` server. It has no head, so only a filter can select it. */
export class BareExchange implements Exchange {
  readonly req = undefined
  readonly res = undefined
  readonly url = undefined
  readonly exclusive = true
  readonly begun = true
  readonly isEventStream = false
  readonly openedAt: number
  /** It lasts as long as its connection. */
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
