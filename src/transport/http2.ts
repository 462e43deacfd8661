// One stream of an HTTP/2 connection. The other streams are independent of it.
import type { Http2ServerRequest, Http2ServerResponse, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { StallClock } from '../liveness/stall-clock.js'
import { resetConnection } from '../native/binding.js'
import { flushBefore, isBypassable, isTakenOver, takeOver } from './fast/hooks.js'
import type { Timed } from './idle-timer.js'
import { NodeTransport } from './node-transport.js'
import type { TransportSample } from './transport.js'

/** RFC 9113, 7: the stream is no longer needed. */
const HTTP2_CANCEL = 8

/** The largest DATA frame that every client accepts (RFC 9113, 4.2). */
const SLICE = 16_384

/** A transport over the compatibility API of `node:http2`. Acknowledgements are unknown. */
export class Http2Transport extends NodeTransport<Http2ServerRequest, Http2ServerResponse> {
  readonly multiplexed = true
  readonly #stream: ServerHttp2Stream
  readonly #stall = new StallClock()
  #firstSampleAt: number | undefined
  /** The number of writes that Node has reported as sent: in total, and at the last sample. */
  #sent = 0
  #sentBefore = 0
  #pendingBefore = 0
  /** The rest of a large event. */
  #rest: Buffer | undefined
  /** Whether a slice is on its way to the stream, possibly through an override of its `write`. */
  #slicing = false

  constructor(res: Http2ServerResponse, socket: Socket | undefined) {
    super(res, socket)
    this.#stream = res.stream
    this.timed = res.stream.session
  }

  /**
   * Node also counts a stream that the client has closed as finished. The error code and who ended the stream
   * distinguish the two.
   */
  protected get finished(): boolean {
    const { writableEnded, writableFinished } = this.res
    return writableEnded && writableFinished && this.#stream.rstCode === 0
  }

  get buffered(): number {
    if (this.#stream.destroyed) return 0
    return (this.#stream.bufferSize ?? 0) + (this.#rest?.length ?? 0)
  }

  /** Stored here, because a stream that has ended no longer has its session. */
  protected readonly timed: Timed | undefined

  protected override get closing(): boolean {
    const stream = this.#stream
    return stream.destroyed || stream.closed || stream.writableEnded
  }

  protected get gone(): boolean {
    return this.#stream.destroyed
  }

  /** For a HEAD request, Node counts the response as finished before it has begun. */
  protected get ended(): boolean {
    return this.#stream.destroyed || this.#stream.closed
  }

  protected get needsDrain(): boolean {
    return this.#stream.writableNeedDrain
  }

  protected opened(): void {}

  /**
   * Writes bytes. Node reports the progress of a stream only by whole writes, so a large event is written in slices.
   */
  override write(bytes: Buffer): boolean {
    // Other code, such as a compressor, has overridden the methods. A write past it would contradict the head.
    if (!isBypassable(this.res)) return super.write(bytes)
    // Bytes that arrive while slices wait are appended to them.
    if (this.#rest !== undefined) {
      this.#rest = Buffer.concat([this.#rest, bytes])
      return false
    }
    if (bytes.length <= SLICE) {
      const room = this.#stream.write(bytes, this.#onSent)
      if (!room) this.awaitDrain()
      return room
    }
    if (!isTakenOver(this.res)) takeOver(this.res, this)
    flushBefore(this.#stream, this)
    this.#rest = bytes
    this.#writeSlice()
    return false
  }

  /**
   * Writes the waiting slices at once, because the application writes to the response or its stream itself, or ends it.
   */
  flush(): void {
    const rest = this.#rest
    // An override that writes before it passes a slice on decides itself what comes first.
    if (rest === undefined || this.#slicing) return
    this.#rest = undefined
    // Node ends the stream when it or its client resets it.
    if (!this.#stream.closed) this.#stream.write(rest, this.#onSent)
  }

  takeOwnWrite(): boolean {
    const isOwn = this.#slicing
    this.#slicing = false
    return isOwn
  }

  protected override drained(): void {
    if (this.#rest === undefined) super.drained()
  }

  /** HTTP/2 has a window for each stream, about which the connection's progress says nothing. */
  protected stalledFor({ loopTime, stalledFor: connection }: TransportSample): number {
    const { buffered: pending } = this
    // The last writes of other code are not reported here when they are sent. Fewer bytes wait then.
    const moved = this.#sent !== this.#sentBefore || pending < this.#pendingBefore
    this.#sentBefore = this.#sent
    this.#pendingBefore = pending
    this.#firstSampleAt ??= loopTime
    const own = this.#stall.update(pending > 0, moved, loopTime)
    return Math.max(own, Math.min(connection, loopTime - this.#firstSampleAt))
  }

  override noteProgress(): void {
    this.#onSent()
  }

  /** Sends GOAWAY: clients open another connection for new requests, and open streams continue. */
  closeConnectionAfter(): void {
    this.#stream.session?.close()
  }

  destroy(entirely: boolean): void {
    this.#rest = undefined
    // `close` alone would keep the waiting bytes in memory for as long as the client reads none of them.
    this.#stream.close(HTTP2_CANCEL)
    this.#stream.destroy()
    if (entirely && this.socket !== undefined) resetConnection(this.socket)
  }

  readonly #onSent = (): void => {
    this.#sent += 1
  }

  #writeSlice(): void {
    const rest = this.#rest
    if (rest === undefined || !this.writable) return
    this.#rest = rest.length > SLICE ? rest.subarray(SLICE) : undefined
    this.#slicing = true
    try {
      this.#stream.write(rest.subarray(0, SLICE), this.#onSliceSent)
    } finally {
      this.#slicing = false
    }
  }

  readonly #onSliceSent = (error?: Error | null): void => {
    this.#onSent()
    if (error || this.#stream.destroyed) return
    if (this.#rest !== undefined) this.#writeSlice()
    else if (this.#stream.writableNeedDrain) this.awaitDrain()
    else this.listener?.onDrain()
  }
}
