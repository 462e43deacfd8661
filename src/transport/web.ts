// A web Response's body as a transport: bytes go into a ReadableStream, and somebody else's code carries them on.
import type { Socket } from 'node:net'
import { TcpSseError } from '../internal/errors.js'
import { StallClock } from '../liveness/stall-clock.js'
import { FIRST_BYTES } from './head.js'
import type { AnyNodeTransport } from './node-transport.js'
import type { Ledger, Transport, TransportListener, TransportSample } from './transport.js'

/** A large event goes in pieces, so that its reader has something to wait between. */
const PIECE = 16_384

/** What a `WebTransport` needs to know. */
interface WebTransportOptions {
  /** Bytes that wait in the body before `write` says that there is no room. */
  readonly highWaterMark: number
  /** Aborted when the client has gone, where no response of Node's can tell. */
  readonly signal: AbortSignal
  /** A HEAD request: there is no body. */
  readonly headOnly: boolean
}

/** A transport over a ReadableStream. `below` is the Node response that its bytes end up in, where that is known. */
export class WebTransport implements Transport, Ledger {
  /** Another writer decides where on the wire the bytes go. */
  readonly start = undefined
  readonly position = undefined
  /** `null` for a HEAD request. */
  readonly body: ReadableStream<Uint8Array> | null
  readonly #below: AnyNodeTransport | undefined
  readonly #highWaterMark: number
  readonly #signal: AbortSignal
  #controller!: ReadableStreamDefaultController<Uint8Array>
  #listener: TransportListener | undefined
  /** Our end is in the body. */
  #ended: boolean
  /** Whoever reads has stopped reading. */
  #gone = false
  #blocked = false
  #written = 0
  /** What had been read out, at the last question of each kind. */
  #readAtDrain = 0
  #readBefore = 0
  readonly #stall = new StallClock()

  constructor(below: AnyNodeTransport | undefined, options: WebTransportOptions) {
    this.#below = below
    this.#highWaterMark = options.highWaterMark
    this.#signal = options.signal
    this.#ended = options.headOnly
    this.body = options.headOnly ? null : this.#open()
    if (this.body === null) return
    if (this.over !== undefined) this.#controller.close()
    else this.write(FIRST_BYTES)
  }

  get socket(): Socket | undefined {
    return this.#below?.socket
  }

  /** Of the connection it is known at least when everything is acknowledged. */
  get ledger(): Ledger | undefined {
    return this.#below?.ledger === undefined ? undefined : this
  }

  get writable(): boolean {
    return !this.#ended && !this.#gone && (this.#below?.writable ?? true)
  }

  get over(): 'finished' | 'gone' | undefined {
    const below = this.#below?.over
    if (this.#ended && (this.#below === undefined || this.body === null)) return 'finished'
    if (this.#ended && below === 'finished') return 'finished'
    if (this.#gone || below !== undefined) return 'gone'
    return this.#below === undefined && this.#signal.aborted ? 'gone' : undefined
  }

  get buffered(): number {
    return this.#queued + (this.#below?.buffered ?? 0)
  }

  check(): void {}

  watchPeerEnd(): void {}

  /** What has just been read out may not be in the response below yet: that is believed at the second question. */
  isAcknowledged(): boolean | undefined {
    const read = this.#written - this.#queued
    const still = read === this.#written && read === this.#readAtDrain
    this.#readAtDrain = read
    return still ? this.#below?.ledger?.isAcknowledged() : false
  }

  /** A reader waits with reason while the response below is full; else it has itself to blame. */
  sample(look: TransportSample): number | undefined {
    const read = this.#written - this.#queued
    const busy = this.#below !== undefined && this.#below.buffered > 0
    const moved = read !== this.#readBefore
    this.#readBefore = read
    if (moved) this.#below?.noteProgress()
    const below = this.#below === undefined ? 0 : this.#below.sample(look)
    const own = this.#stall.update(this.#queued > 0 && !busy, moved, look.loopTime)
    return below === undefined ? undefined : Math.max(own, below)
  }

  listen(listener: TransportListener | undefined): void {
    this.#listener = listener
    if (listener === undefined) {
      this.#signal.removeEventListener('abort', this.#onAbort)
      this.#below?.listen(undefined)
      return
    }
    if (this.#below === undefined) this.#signal.addEventListener('abort', this.#onAbort)
    this.#below?.listen({
      onDrain() {},
      onBlocked() {},
      onPeerEnd() {},
      onClose: () => listener.onClose(),
    })
  }

  /**
   * Copied, because a reader may do what it likes with its chunks (detach their buffer, write to them), and events are
   * shared between clients.
   */
  write(bytes: Buffer): boolean {
    this.#written += bytes.length
    for (let at = 0; at < bytes.length; at += PIECE) {
      this.#controller.enqueue(new Uint8Array(bytes.subarray(at, at + PIECE)))
    }
    this.#blocked = (this.#controller.desiredSize ?? 0) <= 0
    return !this.#blocked
  }

  closeConnectionAfter(): void {
    this.#below?.closeConnectionAfter()
  }

  /** Below, the response ends in its own time, and tells. */
  end(): void {
    this.#ended = true
    this.#controller.close()
    if (this.#below === undefined) void Promise.resolve().then(() => this.#listener?.onClose())
  }

  /** The reader cancels when the response below is destroyed; an error here as well would only be logged by it. */
  destroy(entirely: boolean): void {
    this.#gone = true
    if (this.#below !== undefined) this.#below.destroy(entirely)
    else this.#fail(new TcpSseError('ERR_STREAM_GIVEN_UP', 'The event stream was given up.'))
  }

  get #queued(): number {
    // Ended only when all has been read; a closed body has a `desiredSize` of 0, as a full one has.
    if (this.body === null || this.#gone || this.#ended) return 0
    return this.#highWaterMark - (this.#controller.desiredSize ?? this.#highWaterMark)
  }

  #open(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => {
          if (!this.#blocked) return
          this.#blocked = false
          this.#listener?.onDrain()
        },
        cancel: () => {
          this.#gone = true
          this.#listener?.onClose()
        },
      },
      { highWaterMark: this.#highWaterMark, size: ({ byteLength }) => byteLength },
    )
  }

  #fail(error: unknown): void {
    // Throws where the body has been closed or cancelled before.
    if (this.#controller.desiredSize !== null && !this.#ended) this.#controller.error(error)
  }

  readonly #onAbort = (): void => {
    this.#gone = true
    this.#fail(this.#signal.reason)
    this.#listener?.onClose()
  }
}
