// A response over HTTP/1, plain or TLS: while it lasts, the connection is its own.
//
// Its bytes go one of two ways. Directly: into the batch of this tick (fast/batch.ts) or by a cohort (fast/cohort.ts), past
// Node's streams. Ordinarily: through the response, as any application writes. What waits in the batch is always older than what
// Node holds, because nothing is added to it while Node holds anything; and before Node writes to the connection the batch is
// sent, because the connection's handle says so first (`onTouch`).
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { discardUnread } from '../internal/unread-body.js'
import { countsFor, fdOf, libuvQueueOf, resetConnection, wireOffset } from '../native/binding.js'
import { type Occupant, occupy, vacate } from '../native/handle.js'
import { chunkSize } from '../sse/chunk.js'
import { isFullyAcked, tellsAcknowledgements } from '../tcp/info.js'
import { type BatchSlot, LARGEST_PIECE, sharedBatch } from './fast/batch.js'
import {
  hasNodesMethods,
  isTransient,
  sendError,
  unwatchMethods,
  watchMethods,
  writesDirectly,
} from './fast/hooks.js'
import type { TransportSettings } from './head.js'
import { type Carrier, corkForThisTick, NodeTransport, TRANSPORT } from './node-transport.js'
import type { FastPath, Ledger, Seat, TransportListener, TransportSample } from './transport.js'

interface PeerEndCarrier extends Omit<Carrier, typeof TRANSPORT> {
  [TRANSPORT]?: Http1Transport | undefined
}

function onPeerEnd(this: PeerEndCarrier): void {
  this[TRANSPORT]?.onPeerEnd()
}

function onFinish(this: PeerEndCarrier): void {
  this[TRANSPORT]?.onFinish()
}

/** `0`, and two line ends. */
const LAST_CHUNK = 5

/** A transport over `node:http` and `node:https`. */
export class Http1Transport
  extends NodeTransport<IncomingMessage, ServerResponse>
  implements Ledger, FastPath, BatchSlot, Occupant
{
  start: number | undefined = undefined
  position: number | undefined = undefined
  /** Whether events may go past Node's streams; nothing goes after our own end. */
  #way: 'ordinary' | 'direct' | 'ended' = 'ordinary'
  row = -1
  waiting = 0
  #direct = 0
  seat: Seat | undefined = undefined
  /** What the kernel would not take is on the ordinary path, and not through yet. */
  #short = false
  /** Whether a response without a socket has said that it is finished. */
  #finished = false

  get multiplexed(): boolean {
    return false
  }

  override get ledger(): Ledger | undefined {
    return this.socket === undefined ? undefined : this
  }

  get fast(): FastPath | undefined {
    return this.#way === 'direct' ? this : undefined
  }

  protected get finished(): boolean {
    return this.res.writableFinished || this.#finished
  }

  get buffered(): number {
    const queued = this.socket === undefined ? 0 : libuvQueueOf(this.socket)
    return Math.max(this.res.writableLength, queued) + this.waiting
  }

  /**
   * Node counts what a socket was given. If that is not what we gave it, somebody else writes, or something between
   * changes what we write: then nothing is known, now and later.
   */
  check(): void {
    this.seat?.settle()
    const { socket, res, position } = this
    if (position === undefined || socket === undefined) return
    // A socket that is gone has forgotten what it had not written yet, and one that is about to end takes nothing more: the
    // response keeps it. After our own end nothing is asked any more.
    if (socket.destroyed || !socket.writable || this.#way === 'ended') return
    const end = res.writableEnded && res.chunkedEncoding ? LAST_CHUNK : 0
    if (position + end === wireOffset(socket) + this.waiting) return
    this.position = undefined
    this.seat?.leave()
  }

  override end(): void {
    this.onTouch()
    this.#way = 'ended'
    super.end()
  }

  /** What a cohort has sent is in it: the monitor asks for it, to see whether anything was written. */
  get direct(): number {
    this.seat?.settle()
    return this.#direct
  }

  set direct(bytes: number) {
    this.#direct = bytes
  }

  /** The connection is about to be written to by somebody else, or to be closed. */
  onTouch(): void {
    this.seat?.leave()
    if (this.row >= 0) sharedBatch.flush()
  }

  /** What the batch could not send goes the ordinary way. */
  onPartialWrite(rest: Buffer, errno: number): void {
    this.#short = true
    this.waiting += rest.length
    this.takeRest(rest, errno)
  }

  holdBack(bytes: number): void {
    this.#short = true
    this.waiting += bytes
    this.#direct -= bytes
  }

  /** It says when it has gone, or what is wrong. */
  takeRest(rest: Buffer, errno: number): boolean {
    const socket = this.socket as Socket
    this.waiting -= rest.length
    if (socket.destroyed) return false
    if (errno !== 0 && !isTransient(errno)) {
      socket.destroy(sendError(errno))
      return false
    }
    socket.write(rest, (error) => {
      this.#short = false
      // Node reports a write that a destroyed socket has cut off as a success.
      if (!error && !socket.destroyed) this.listener?.onDrain()
    })
    this.listener?.onBlocked()
    return true
  }

  protected get timed(): Socket | undefined {
    return this.socket
  }

  protected get ended(): boolean {
    return this.res.destroyed || this.finished
  }

  protected get gone(): boolean {
    return this.res.destroyed
  }

  protected get needsDrain(): boolean {
    return this.res.writableNeedDrain
  }

  /** Head and first byte go as one segment. */
  override open(settings: TransportSettings): void {
    const { socket } = this.res
    socket?.cork()
    try {
      super.open(settings)
    } finally {
      socket?.uncork()
    }
  }

  protected opened({ fastPath }: TransportSettings): void {
    const { res, socket } = this
    // An earlier response on the connection may not be finished: ours has no place in its bytes yet.
    if (socket === undefined || res.socket !== socket || res.hasHeader('content-encoding')) return
    if (!tellsAcknowledgements(socket)) return
    this.start = wireOffset(socket)
    this.position = this.start
    if (!fastPath || !writesDirectly(socket) || !hasNodesMethods(res)) return
    if (!occupy(socket, this)) return
    this.#way = 'direct'
    countsFor(socket, this)
  }

  watchPeerEnd(): void {
    const socket = this.socket as PeerEndCarrier & Socket
    // A stream's last account asks for it too, after the transport was told to stop.
    if (this.start === undefined || this.listener === undefined) return
    if (socket[TRANSPORT] === this) return
    socket[TRANSPORT] = this
    socket.on('end', onPeerEnd)
  }

  protected override unlisten(): void {
    super.unlisten()
    this.onTouch()
    const socket = this.socket as (PeerEndCarrier & Socket) | undefined
    if (socket === undefined) {
      this.res.off('finish', onFinish)
      return
    }
    socket.off('end', onPeerEnd)
    if (socket[TRANSPORT] === this) socket[TRANSPORT] = undefined
    if (this.#way === 'ordinary') return
    vacate(socket, this)
    unwatchMethods(this.res, this)
    unwatchMethods(socket, this)
  }

  override listen(listener: TransportListener | undefined): void {
    super.listen(listener)
    // An injected request's response (light-my-request) says so, and nothing else that could be asked.
    if (listener !== undefined && this.socket === undefined) this.res.on('finish', onFinish)
  }

  /** @internal */
  onFinish(): void {
    this.#finished = true
  }

  /** @internal */
  onPeerEnd(): void {
    this.listener?.onPeerEnd()
  }

  claimDescriptor(): number {
    const { res, socket } = this
    // A timer of the application's counts writes through Node's streams, and the batch tells it of ours.
    if (!this.#goesDirectly(0) || !res.chunkedEncoding || socket === undefined || socket.timeout) {
      return -1
    }
    // Somebody may have put another handle into the socket: then it is that one's descriptor.
    if (!occupy(socket, this)) return -1
    this.onTouch()
    this.check()
    if (this.#short || this.position === undefined) return -1
    if (!watchMethods(res, ['write', 'end'], this)) return -1
    if (!watchMethods(socket, ['write', 'setTimeout'], this)) return -1
    this.watchPeerEnd()
    return fdOf(socket)
  }

  credit(bytes: number): void {
    if (this.position !== undefined) this.position += bytes
    this.#direct += bytes
  }

  override write(bytes: Buffer): boolean {
    if (!this.#goesDirectly(bytes.length)) return this.#writeOrdinarily(bytes)
    this.#advance(sharedBatch.add(this, bytes, this.res.chunkedEncoding))
    return this.#keepsUp()
  }

  writeText(text: string): number {
    // UTF-8 takes three bytes at most for each of a string's units.
    if (!this.#goesDirectly(text.length * 3)) {
      const bytes = Buffer.from(text)
      return this.#writeOrdinarily(bytes) ? bytes.length : -bytes.length
    }
    const before = this.waiting
    const length = sharedBatch.addText(this, text, this.res.chunkedEncoding)
    this.#advance(this.waiting - before)
    return this.#keepsUp() ? length : -length
  }

  #writeOrdinarily(bytes: Buffer): boolean {
    this.onTouch()
    this.#advance(this.res.chunkedEncoding ? chunkSize(bytes.length) : bytes.length)
    corkForThisTick(this.res.socket)
    return super.write(bytes)
  }

  #advance(length: number): void {
    if (this.position !== undefined) this.position += length
  }

  /** Whether the kernel takes it is known after the tick, or when there is so much that it matters before. */
  #keepsUp(): boolean {
    if (this.waiting >= FLUSH_AT) sharedBatch.flush()
    return !this.#short
  }

  /** Plain TCP, our response is the socket's, nothing is queued, nobody has overridden a method that is bypassed. */
  #goesDirectly(length: number): boolean {
    if (this.#way !== 'direct' || length > LARGEST_PIECE) return false
    this.seat?.leave()
    if (!sharedBatch.fits(length)) sharedBatch.flush()
    const socket = this.socket as Socket
    return (
      // The response's: since Node 26 it holds back what was written in this tick itself. The socket's is in it.
      this.res.writableLength === 0 &&
      !this.res.writableEnded &&
      !socket.destroyed &&
      hasNodesMethods(this.res) &&
      writesDirectly(socket)
    )
  }

  isAcknowledged(): boolean | undefined {
    this.onTouch()
    return this.res.writableLength > 0 ? false : isFullyAcked(this.socket as Socket)
  }

  protected stalledFor({ stalledFor }: TransportSample): number {
    return stalledFor
  }

  /**
   * A body larger than the receive window keeps the client's FIN from ever arriving, and its kernel goes on answering:
   * no look at our side of the connection can tell. So a body that nobody has begun to read is discarded, as Node itself
   * does when a response ends. One that the application has paused is its own: only a write can tell then.
   */
  protected override discardBody(): void {
    discardUnread(this.req)
  }

  /** The head has promised to keep the connection, and clients come back on it, to a server that has only a 503 left. */
  closeConnectionAfter(): void {
    const { socket } = this.req
    // A Duplex that an application has handed to the server has no `destroySoon`: as Node ends such a one.
    this.res.once('close', () => (socket.destroySoon ? socket.destroySoon() : socket.end()))
  }

  destroy(): void {
    if (this.socket !== undefined) resetConnection(this.socket)
    else this.res.destroy()
  }
}

/** So much of one stream in one tick is sent before its end: a producer must learn in time that the client is behind. */
const FLUSH_AT = 16 * 1024
