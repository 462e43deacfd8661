// One stream of an HTTP/2 connection; the others on it live on.
import type { Http2ServerRequest, Http2ServerResponse, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { systemClock } from '../clock.js'
import { resetConnection } from '../socket/binding.js'
import { Http2Progress } from '../socket/http2-progress.js'
import { NodeOutlet } from './outlet.js'

/** RFC 9113, 7: the stream is no longer needed. */
const HTTP2_CANCEL = 8

/** The largest DATA frame that every client takes (RFC 9113, 4.2). */
const SLICE = 16_384

/** An outlet over `node:http2`'s compatibility API. What its client has acknowledged cannot be known. */
export class Http2Outlet extends NodeOutlet<Http2ServerRequest, Http2ServerResponse> {
  readonly multiplexed = true
  readonly start = undefined
  readonly position = undefined
  readonly #stream: ServerHttp2Stream
  readonly #progress: Http2Progress
  /** What is left of a large event. */
  #rest: Buffer | undefined

  constructor(req: Http2ServerRequest, res: Http2ServerResponse, socket: Socket | undefined) {
    super(req, res, socket)
    this.#stream = res.stream
    this.#progress = new Http2Progress(res.stream, systemClock.now())
  }

  /** A stream that the client has closed counts as finished for Node; its error code and who ended it tell. */
  get finished(): boolean {
    const { writableEnded, writableFinished } = this.res
    return writableEnded && writableFinished && this.#stream.rstCode === 0
  }

  get pending(): number {
    return (this.#stream.bufferSize ?? 0) + (this.#rest?.length ?? 0)
  }

  /** For a HEAD request the response counts as finished before it has begun. */
  protected get over(): boolean {
    return this.#stream.destroyed || this.#stream.closed
  }

  protected opened(): void {}

  checkPosition(): void {}

  /** Only as far as this side of the connection goes. */
  isDrained(): false | undefined {
    return this.#rest === undefined ? undefined : false
  }

  /** Node tells how far a stream has come by whole writes only: a large event goes slice by slice. */
  override write(bytes: Buffer): boolean {
    if (bytes.length <= SLICE) return super.write(bytes)
    this.#rest = bytes
    this.#writeSlice()
    return false
  }

  protected override drained(): void {
    if (this.#rest === undefined) super.drained()
  }

  stalledFor(now: number, connection: number): number {
    const written = this.socket?.bytesWritten ?? 0
    return this.#progress.stalledFor({ now, stalledFor: connection, written, alone: false })
  }

  /** A body that waits in one stream hides nothing: the session reads on. */
  discardUnread(): void {}

  destroy(entirely: boolean): void {
    if (entirely && this.socket !== undefined) resetConnection(this.socket)
    else this.#stream.close(HTTP2_CANCEL)
  }

  #writeSlice(): void {
    const rest = this.#rest
    if (rest === undefined || !this.writable) return
    this.#rest = rest.length > SLICE ? rest.subarray(SLICE) : undefined
    this.#stream.write(rest.subarray(0, SLICE), () => {
      if (this.#rest !== undefined) this.#writeSlice()
      else this.listener?.onDrain()
    })
  }
}
