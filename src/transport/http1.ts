// A response over HTTP/1, plain or TLS. While it lasts, it has the connection to itself.
//
// Its bytes take one of two paths. The direct path bypasses Node's streams: bytes go into the batch of this tick
// (fast/batch.ts) or are sent by a cohort (fast/cohort.ts). The ordinary path writes to the response, as any
// application does. Bytes in the batch are always older than bytes that Node holds, because nothing is added to the
// batch while Node holds any. Before Node writes to the connection, its handle calls `onTouch`, which sends the batch.
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

/** The length of the last chunk: `0` and two line ends. */
const LAST_CHUNK = 5

/** A transport over `node:http` and `node:https`. */
export class Http1Transport
  extends NodeTransport<IncomingMessage, ServerResponse>
  implements Ledger, FastPath, BatchSlot, Occupant
{
  start: number | undefined = undefined
  position: number | undefined = undefined
  /** Which path events take. Nothing is written after this stream's own end. */
  #way: 'ordinary' | 'direct' | 'ended' = 'ordinary'
  row = -1
  waiting = 0
  #direct = 0
  seat: Seat | undefined = undefined
  /** Whether bytes that the kernel did not accept are still being written on the ordinary path. */
  #behind = false
  /** Whether a response without a socket has emitted `finish`. */
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
   * Compares this transport's count of bytes with Node's. If they differ, other code has written to the connection or
   * has changed what this transport wrote. Positions are then unknown from now on.
   */
  check(): void {
    this.seat?.settle()
    const { socket, res, position } = this
    if (position === undefined || socket === undefined) return
    // Skip the check for a destroyed socket, which has forgotten its unwritten bytes, for a socket that is about to end
    // and accepts no more, so that the response keeps the bytes, and after this stream's own end, when the position is
    // no longer used.
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

  /** The monitor reads this to learn whether anything was written, so it includes the bytes that a cohort has sent. */
  get direct(): number {
    this.seat?.settle()
    return this.#direct
  }

  set direct(bytes: number) {
    this.#direct = bytes
  }

  /** Called before other code writes to the connection or closes it. */
  onTouch(): void {
    this.seat?.leave()
    if (this.row >= 0) sharedBatch.flush()
  }

  /** Writes the bytes that the batch could not send on the ordinary path. */
  onPartialWrite(rest: Buffer, errno: number): void {
    this.#behind = true
    this.waiting += rest.length
    this.takeRest(rest, errno)
  }

  holdBack(bytes: number): void {
    this.#behind = true
    this.waiting += bytes
    this.#direct -= bytes
  }

  /** The write's callback reports the end or an error. */
  takeRest(rest: Buffer, errno: number): boolean {
    const socket = this.socket as Socket
    this.waiting -= rest.length
    if (socket.destroyed) return false
    if (errno !== 0 && !isTransient(errno)) {
      socket.destroy(sendError(errno))
      return false
    }
    socket.write(rest, (error) => {
      this.#behind = false
      // If the socket is destroyed, Node reports an aborted write as a success.
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

  /** Sends the head and the first byte in one segment. */
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
    // If an earlier response on the connection is unfinished, this one has no position in its bytes yet.
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
    // The final account of a stream calls this too, after the transport has stopped.
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
    // The response of an injected request (light-my-request) reports its end only in this way.
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
    // A cohort does not update the application's idle timer; the batch does.
    if (!this.#goesDirectly(0) || !res.chunkedEncoding || socket === undefined || socket.timeout) {
      return -1
    }
    // Other code may have put another handle into the socket, whose descriptor this would be.
    if (!occupy(socket, this)) return -1
    this.onTouch()
    this.check()
    if (this.#behind || this.position === undefined) return -1
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
    // UTF-8 needs at most three bytes for each UTF-16 unit.
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

  /** Returns whether the kernel keeps up. This is known after the tick, or earlier if the amount requires a flush. */
  #keepsUp(): boolean {
    if (this.waiting >= FLUSH_AT) sharedBatch.flush()
    return !this.#behind
  }

  /**
   * Whether bytes can take the direct path: plain TCP, this response is the socket's current one, nothing is queued,
   * and no bypassed method has been overridden.
   */
  #goesDirectly(length: number): boolean {
    if (this.#way !== 'direct' || length > LARGEST_PIECE) return false
    this.seat?.leave()
    if (!sharedBatch.fits(length)) sharedBatch.flush()
    const socket = this.socket as Socket
    return (
      // Since Node 26, the response itself holds back what was written in this tick. Its length includes the socket's.
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
   * Discards an unread request body. A body larger than the receive window prevents the client's FIN from arriving,
   * while its kernel keeps answering, so a sample of this side cannot detect it. Node itself discards the body when a
   * response ends. If the application has paused the body, it stays: then only a write can detect the end.
   */
  protected override discardBody(): void {
    discardUnread(this.req)
  }

  /**
   * Closes the connection after this response. The head allowed reuse, and clients would send their next request to a
   * server that only answers 503.
   */
  closeConnectionAfter(): void {
    const { socket } = this.req
    // A Duplex that the application passed to the server has no `destroySoon`. Node ends it in the same way.
    this.res.once('close', () => (socket.destroySoon ? socket.destroySoon() : socket.end()))
  }

  destroy(): void {
    if (this.socket !== undefined) resetConnection(this.socket)
    else this.res.destroy()
  }
}

/**
 * If one stream writes this many bytes in one tick, they are sent at once, so that the producer learns in time that the
 * client is behind.
 */
const FLUSH_AT = 16 * 1024
