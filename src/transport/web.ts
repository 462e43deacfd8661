// The body of a web `Response` as a transport. Bytes go into a ReadableStream, which other code reads.
import type { Socket } from 'node:net'
import { TcpSseError } from '../internal/errors.js'
import type { GuardEnd } from '../internal/guard-ends.js'
import { StallClock } from '../liveness/stall-clock.js'
import { FIRST_BYTES } from './head.js'
import type { AnyNodeTransport } from './node-transport.js'
import type { Ledger, Transport, TransportListener, TransportSample } from './transport.js'

/** Large events are split into pieces, so that the reader can wait between them. */
const PIECE = 16_384

/** Options of a `WebTransport`. */
interface WebTransportOptions {
  /** Bytes that may wait in the body before `write` returns `false`. */
  readonly highWaterMark: number
  /** Aborted when the client has gone, for bodies without a Node response. */
  readonly signal: AbortSignal
  /** Whether this is a HEAD request, which has no body. */
  readonly headOnly: boolean
}

/** A transport over a ReadableStream. `below` is the Node response that sends its bytes, if known. */
export class WebTransport implements Transport, Ledger {
  /** Other code decides the position of the bytes on the wire. */
  readonly start = undefined
  readonly position = undefined
  /** `null` for a HEAD request. */
  readonly body: ReadableStream<Uint8Array> | null
  readonly #below: AnyNodeTransport | undefined
  readonly #highWaterMark: number
  readonly #signal: AbortSignal
  #controller!: ReadableStreamDefaultController<Uint8Array>
  #listener: TransportListener | undefined
  /** Whether the body was closed. */
  #ended: boolean
  /** Whether the reader has cancelled the body. */
  #gone = false
  #blocked = false
  #written = 0
  /** How many bytes had been read at the last call of `isAcknowledged` and of `sample`. */
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

  /** Only `isAcknowledged` works: it is known when the connection has no unacknowledged bytes. */
  get ledger(): Ledger | undefined {
    return this.#below?.ledger === undefined ? undefined : this
  }

  get writable(): boolean {
    return !this.#ended && !this.#gone && (this.#below?.writable ?? true)
  }

  get over(): 'finished' | 'gone' | GuardEnd | undefined {
    const below = this.#below?.over
    if (this.#ended && (this.#below === undefined || this.body === null)) return 'finished'
    if (this.#ended && below === 'finished') return 'finished'
    if (typeof below === 'object') return below
    if (this.#gone || below !== undefined) return 'gone'
    return this.#below === undefined && this.#signal.aborted ? 'gone' : undefined
  }

  get buffered(): number {
    return this.#queued + (this.#below?.buffered ?? 0)
  }

  check(): void {}

  watchPeerEnd(): void {}

  /**
   * Bytes that were just read may not be in the response below yet, so the answer counts only if nothing was read since
   * the last call.
   */
  isAcknowledged(): boolean | undefined {
    const read = this.#written - this.#queued
    const still = read === this.#written && read === this.#readAtDrain
    this.#readAtDrain = read
    return still ? this.#below?.ledger?.isAcknowledged() : false
  }

  /** A reader that waits for a full response below is not stalled. A reader that waits without reason is. */
  sample(sample: TransportSample): number | undefined {
    const read = this.#written - this.#queued
    const busy = this.#below !== undefined && this.#below.buffered > 0
    const moved = read !== this.#readBefore
    this.#readBefore = read
    if (moved) this.#below?.noteProgress()
    const below = this.#below === undefined ? 0 : this.#below.sample(sample)
    const own = this.#stall.update(this.#queued > 0 && !busy, moved, sample.loopTime)
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

  /** Copies the bytes. A reader may change its chunks or detach their buffer, and events are shared between clients. */
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

  /** Closes the body. The response below ends later and reports it. */
  end(): void {
    this.#ended = true
    this.#controller.close()
    if (this.#below === undefined) void Promise.resolve().then(() => this.#listener?.onClose())
  }

  /**
   * Ends the response. The reader cancels the body when the response below is destroyed; with an error in the body as
   * well, it would log that error.
   */
  destroy(entirely: boolean): void {
    this.#gone = true
    if (this.#below !== undefined) this.#below.destroy(entirely)
    else
      this.#fail(
        new TcpSseError(
          'ERR_STREAM_GIVEN_UP',
          'The event stream was aborted before its end. stream.closed has the reason.',
        ),
      )
  }

  get #queued(): number {
    // The body is closed only after everything was read. A closed body has a `desiredSize` of 0, as a full one has.
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
    // `error` throws if the body has been closed or cancelled.
    if (this.#controller.desiredSize !== null && !this.#ended) this.#controller.error(error)
  }

  readonly #onAbort = (): void => {
    this.#gone = true
    this.#fail(this.#signal.reason)
    this.#listener?.onClose()
  }
}
