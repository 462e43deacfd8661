// A response over HTTP/1, plain or TLS: while it lasts, the connection is its own.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { libuvQueueOf, resetConnection } from '../socket/binding.js'
import { acknowledgedOffset, isDrained } from '../socket/inspect.js'
import type { OutletListener } from '../stream/outlet.js'
import { NodeOutlet } from './outlet.js'

/** `0`, and two line ends. */
const LAST_CHUNK = 5

/** An outlet over `node:http` and `node:https`. */
export class Http1Outlet extends NodeOutlet<IncomingMessage, ServerResponse> {
  readonly multiplexed = false
  start: number | undefined
  #position: number | undefined
  #ended = false

  get finished(): boolean {
    return this.res.writableFinished
  }

  get pending(): number {
    const queued = this.socket === undefined ? 0 : libuvQueueOf(this.socket)
    return Math.max(this.res.writableLength, queued)
  }

  /**
   * Node counts what a socket was given. If that is not what we gave it, somebody else writes, or something between
   * changes what we write: then nothing is known, now and later.
   */
  get position(): number | undefined {
    const { socket, res } = this
    if (this.#position === undefined || socket === undefined) return undefined
    // A socket that is gone has forgotten what it had not written yet; after our own end nothing is asked any more.
    if (socket.destroyed || this.#ended) return this.#position
    const end = res.writableEnded && res.chunkedEncoding ? LAST_CHUNK : 0
    if (this.#position + end !== socket.bytesWritten) this.#position = undefined
    return this.#position
  }

  override end(): void {
    this.#ended = true
    super.end()
  }

  protected get over(): boolean {
    return this.res.destroyed || this.res.writableFinished
  }

  protected opened(): void {
    const { res, socket } = this
    // An earlier response on the connection may not be finished: ours has no place in its bytes yet.
    if (socket === undefined || res.socket !== socket || res.hasHeader('content-encoding')) return
    if (acknowledgedOffset(socket) === undefined) return
    this.start = socket.bytesWritten
    this.#position = this.start
  }

  override listen(listener: OutletListener): void {
    super.listen(listener)
    if (this.start !== undefined) this.socket?.on('end', this.#onPeerEnd)
  }

  override unlisten(): void {
    super.unlisten()
    this.socket?.off('end', this.#onPeerEnd)
  }

  override write(bytes: Buffer): boolean {
    if (this.#position !== undefined) this.#position += framed(bytes.length, this.res)
    return super.write(bytes)
  }

  isDrained(): boolean | undefined {
    if (this.socket === undefined) return undefined
    return this.res.writableLength > 0 ? false : isDrained(this.socket as Socket)
  }

  stalledFor(_now: number, connection: number): number {
    return connection
  }

  /**
   * A body larger than the receive window keeps the client's FIN from ever arriving, and its kernel goes on answering:
   * no look at our side of the connection can tell. So a body that nobody has begun to read is discarded, as Node itself
   * does when a response ends. One that the application has paused is its own: only a write can tell then.
   */
  discardUnread(): void {
    const { req } = this
    if (req.complete || req.readableFlowing !== null || req.listenerCount('readable') > 0) return
    req.resume()
  }

  destroy(): void {
    if (this.socket !== undefined) resetConnection(this.socket)
    else this.res.destroy()
  }

  readonly #onPeerEnd = () => this.listener?.onPeerEnd()
}

/** The size of a write on the wire: a chunk has its size in hexadecimal and two line ends (RFC 9112, 7.1). */
function framed(length: number, { chunkedEncoding }: ServerResponse): number {
  return chunkedEncoding ? length + length.toString(16).length + 4 : length
}
