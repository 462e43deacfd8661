// A response over HTTP/1, plain or TLS: while it lasts, the connection is its own.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { callAtEndOfTick } from '../internal/scheduling.js'
import { discardUnread } from '../internal/unread-body.js'
import { countsFor, libuvQueueOf, resetConnection, wireOffset } from '../native/binding.js'
import type { EncodedEvent } from '../sse/encode.js'
import type { StreamSettings } from '../stream/options.js'
import { isDrained, tellsAcknowledgements } from '../tcp/info.js'
import { type Berth, LARGEST_PIECE, sharedBatch } from './fast/batch.js'
import { chunked, type Lane, type Segment } from './fast/lane.js'
import {
  isPassing,
  isTakenOver,
  sendError,
  takeOver,
  writesDirectly,
} from './fast/response-hooks.js'
import { type Carrier, NodeOutlet, OUTLET } from './node-transport.js'
import type { OutletListener } from './transport.js'

interface PeerEndCarrier extends Omit<Carrier, typeof OUTLET> {
  [OUTLET]?: Http1Outlet | undefined
}

function onPeerEnd(this: PeerEndCarrier): void {
  this[OUTLET]?.onPeerEnd()
}

function onFinish(this: PeerEndCarrier): void {
  this[OUTLET]?.onFinish()
}

/** `0`, and two line ends. */
const LAST_CHUNK = 5

/** An outlet over `node:http` and `node:https`. */
export class Http1Outlet
  extends NodeOutlet<IncomingMessage, ServerResponse>
  implements Berth, Lane
{
  start: number | undefined = undefined
  position: number | undefined = undefined
  /** Whether events may go past Node's streams; nothing goes after our own end. */
  #way: 'ordinary' | 'direct' | 'ended' = 'ordinary'
  row = -1
  waiting = 0
  direct = 0
  segment: Segment | undefined = undefined
  first = 0
  next = 0
  base = 0
  laneBytes = 0
  /** What the kernel would not take is on the ordinary path, and not through yet. */
  #short = false
  /** Whether a response without a socket has said that it is finished. */
  #finished = false

  get multiplexed(): boolean {
    return false
  }

  get finished(): boolean {
    return this.res.writableFinished || this.#finished
  }

  get pending(): number {
    const queued = this.socket === undefined ? 0 : libuvQueueOf(this.socket)
    return Math.max(this.res.writableLength, queued) + this.waiting
  }

  /**
   * Node counts what a socket was given. If that is not what we gave it, somebody else writes, or something between
   * changes what we write: then nothing is known, now and later.
   */
  checkPosition(): void {
    const { socket, res, position } = this
    if (position === undefined || socket === undefined) return
    // A socket that is gone has forgotten what it had not written yet; after our own end nothing is asked any more.
    if (socket.destroyed || this.#way === 'ended') return
    const end = res.writableEnded && res.chunkedEncoding ? LAST_CHUNK : 0
    if (position + end !== wireOffset(socket) + this.waiting) this.position = undefined
  }

  override end(): void {
    this.flush()
    this.#way = 'ended'
    super.end()
  }

  /** Sends what waits in the batch, before anything else is written. */
  flush(): void {
    if (this.row >= 0) sharedBatch.flush()
  }

  /** The rest goes the ordinary way, which says when it has gone, or what is wrong. */
  onShort(rest: Buffer, errno: number): void {
    const socket = this.socket as Socket
    if (socket.destroyed) return
    if (errno !== 0 && !isPassing(errno)) {
      socket.destroy(sendError(errno))
      return
    }
    this.#short = true
    socket.write(rest, (error) => {
      this.#short = false
      // Node reports a write that a destroyed socket has cut off as a success.
      if (!error && !socket.destroyed) this.listener?.onDrain()
    })
    this.listener?.onBlocked()
  }

  protected get timed(): Socket | undefined {
    return this.socket
  }

  protected get over(): boolean {
    return this.res.destroyed || this.res.writableFinished
  }

  protected get gone(): boolean {
    return this.res.destroyed
  }

  protected get needsDrain(): boolean {
    return this.res.writableNeedDrain
  }

  /** Head and first byte go as one segment. */
  override open(settings: StreamSettings): void {
    const { socket } = this.res
    socket?.cork()
    try {
      super.open(settings)
    } finally {
      socket?.uncork()
    }
  }

  protected opened({ fastPath }: StreamSettings): void {
    const { res, socket } = this
    // An earlier response on the connection may not be finished: ours has no place in its bytes yet.
    if (socket === undefined || res.socket !== socket || res.hasHeader('content-encoding')) return
    if (!tellsAcknowledgements(socket)) return
    this.start = wireOffset(socket)
    this.position = this.start
    if (!fastPath || !writesDirectly(socket) || !takeOver(res, this)) return
    this.#way = 'direct'
    countsFor(socket, this)
  }

  expectPeerEnd(): void {
    const { socket } = this
    // A stream's last account asks for it too, after the outlet was told to stop.
    if (this.start === undefined || socket === undefined || this.listener === undefined) return
    ;(socket as PeerEndCarrier)[OUTLET] = this
    socket.on('end', onPeerEnd)
  }

  override listen(listener: OutletListener): void {
    super.listen(listener)
    // An injected request's response (light-my-request) says so, and nothing else that could be asked.
    if (this.socket === undefined) this.res.on('finish', onFinish)
  }

  override unlisten(): void {
    super.unlisten()
    if (this.socket === undefined) this.res.off('finish', onFinish)
    this.socket?.off('end', onPeerEnd)
  }

  /** @internal */
  onFinish(): void {
    this.#finished = true
  }

  /** @internal */
  onPeerEnd(): void {
    this.listener?.onPeerEnd()
  }

  get lane(): Lane | undefined {
    return this.#way !== 'ordinary' && this.res.chunkedEncoding ? this : undefined
  }

  cast({ bytes }: EncodedEvent, segment: Segment, index: number): boolean {
    if (this.segment !== segment || this.next !== index) return false
    // Anything that was written since the last broadcast has moved the position on.
    if (this.position !== this.base + (segment.ends[index - 1] as number)) return false
    if (!this.#mayGoDirectly(bytes.length)) return false
    // To make room in the batch it may have been sent, and the kernel not have taken all of it: that breaks the run.
    if (this.#short) return false
    this.position += sharedBatch.add(this, bytes, true)
    this.laneBytes += bytes.length
    this.next = index + 1
    return true
  }

  override write(bytes: Buffer): boolean {
    if (this.#mayGoDirectly(bytes.length)) {
      const length = sharedBatch.add(this, bytes, this.res.chunkedEncoding)
      if (this.position !== undefined) this.position += length
      // Whether the kernel takes it is known after the tick, or when there is so much that it matters before.
      if (this.waiting >= FLUSH_AT) sharedBatch.flush()
      return !this.#short
    }
    this.flush()
    if (this.position !== undefined) this.position += framed(bytes.length, this.res)
    corkForThisTick(this.res.socket)
    return super.write(bytes)
  }

  override writeText(text: string): number {
    // UTF-8 takes three bytes at most for each of a string's units.
    if (!this.#mayGoDirectly(text.length * 3)) return -1
    const { chunkedEncoding } = this.res
    const before = this.waiting
    const bytes = sharedBatch.addText(this, text, chunkedEncoding)
    if (this.position !== undefined) this.position += this.waiting - before
    if (this.waiting >= FLUSH_AT) sharedBatch.flush()
    return bytes
  }

  /** Plain TCP, our response is the socket's, nothing is queued, nobody has overridden a method that is bypassed. */
  #mayGoDirectly(length: number): boolean {
    if (this.#way !== 'direct' || length > LARGEST_PIECE) return false
    if (!sharedBatch.fits(length)) sharedBatch.flush()
    const socket = this.socket as Socket
    return (
      // The response's: since Node 26 it holds back what was written in this tick itself. The socket's is in it.
      this.res.writableLength === 0 &&
      !this.res.writableEnded &&
      !socket.destroyed &&
      isTakenOver(this.res) &&
      writesDirectly(socket)
    )
  }

  isDrained(): boolean | undefined {
    if (this.socket === undefined) return undefined
    this.flush()
    return this.res.writableLength > 0 ? false : isDrained(this.socket as Socket)
  }

  stalledFor(_loopTime: number, connection: number): number {
    return connection
  }

  /**
   * A body larger than the receive window keeps the client's FIN from ever arriving, and its kernel goes on answering:
   * no look at our side of the connection can tell. So a body that nobody has begun to read is discarded, as Node itself
   * does when a response ends. One that the application has paused is its own: only a write can tell then.
   */
  discardUnread(): void {
    discardUnread(this.req)
  }

  /** The head has promised to keep the connection, and clients come back on it, to a server that has only a 503 left. */
  hangUp(): void {
    const { socket } = this.req
    // A Duplex that an application has handed to the server has no `destroySoon`: as Node ends such a one.
    this.res.once('close', () => (socket.destroySoon ? socket.destroySoon() : socket.end()))
  }

  destroy(): void {
    if (this.socket !== undefined) resetConnection(this.socket)
    else this.res.destroy()
  }
}

/**
 * What Node does for each tick's first write. Node 26 corks the response in place of the connection, and makes one chunk
 * of all that is written until the tick's end: where an event ends on the wire, nobody could tell then. It leaves a
 * connection alone that is corked already.
 */
function corkForThisTick(socket: Socket | null): void {
  if (socket === null || socket.writableCorked > 0) return
  socket.cork()
  callAtEndOfTick(uncork, socket)
}

function uncork(socket: Socket): void {
  socket.uncork()
}

/** The size of a write on the wire. */
function framed(length: number, { chunkedEncoding }: ServerResponse): number {
  return chunkedEncoding ? chunked(length) : length
}

/** So much of one stream in one tick is sent before its end: a producer must learn in time that the client is behind. */
const FLUSH_AT = 16 * 1024
