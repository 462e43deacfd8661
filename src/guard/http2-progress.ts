// How far the bytes of one HTTP/2 stream have come. The kernel knows the connection only.
import type { ServerHttp2Stream } from 'node:http2'
import { StallClock } from '../liveness/stall-clock.js'

/** What is known of the connection at a look. */
export interface ConnectionSample {
  readonly now: number
  /** The same without the time for which the event loop was blocked. */
  readonly loopTime: number
  /** Milliseconds for which bytes have waited on the connection and none was acknowledged. */
  readonly stalledFor: number
  /** Bytes that have been written to the connection. */
  readonly written: number
  /** Whether this is the connection's only response. */
  readonly alone: boolean
}

/** More than a client's PINGs and SETTINGS draw from us in the time of a stall. */
const OTHER_FRAMES = 1_024

/**
 * HTTP/2 has a window for each stream, and Node tells of a stream only when a write has been sent, not how far it is.
 * While the stream is the only one, bytes that leave on the connection are its own and count too.
 */
export class Http2Progress {
  readonly #stream: ServerHttp2Stream
  readonly #openedAt: number
  readonly #stall = new StallClock()
  /** What waited at the last look, and what of it was being sent. */
  #waiting = 0
  #sending = 0
  /** The connection's count of bytes when the stream last moved. */
  #written = 0

  constructor(stream: ServerHttp2Stream, openedAt: number) {
    this.#stream = stream
    this.#openedAt = openedAt
  }

  /** Milliseconds for which the client has taken nothing though something waited. Called at every look. */
  stalledFor({ now, loopTime, stalledFor, written, alone }: ConnectionSample): number {
    const waiting = this.#stream.writableLength
    const sending = this.#stream.bufferSize - waiting
    const left = alone && written - this.#written > OTHER_FRAMES
    const still = waiting >= this.#waiting && sending === this.#sending
    const own = this.#stall.update(waiting + sending > 0, !still || left, loopTime)
    if (own === 0) this.#written = written
    this.#waiting = waiting
    this.#sending = sending
    return Math.max(own, Math.min(stalledFor, now - this.#openedAt))
  }
}
