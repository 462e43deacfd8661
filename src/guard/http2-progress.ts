// The progress of one HTTP/2 stream. The kernel only knows the connection.
import type { ServerHttp2Stream } from 'node:http2'
import { StallClock } from '../liveness/stall-clock.js'

/** A sample of the connection. */
export interface ConnectionSample {
  readonly now: number
  /** The same clock, without the time for which the event loop was blocked. */
  readonly loopTime: number
  /** Milliseconds for which bytes have waited on the connection and none was acknowledged. */
  readonly stalledFor: number
  /** Bytes that were written to the connection. */
  readonly written: number
  /** Whether this is the connection's only response. */
  readonly alone: boolean
}

/** More bytes than the server sends in reply to PING and SETTINGS frames during a stall. */
const OTHER_FRAMES = 1_024

/**
 * HTTP/2 has a window for each stream. Node reports when a write of a stream has been sent, but no
 * progress within the write. If the stream is the connection's only one, bytes that leave on the
 * connection are the stream's, and count as progress, too.
 */
export class Http2Progress {
  readonly #stream: ServerHttp2Stream
  readonly #openedAt: number
  readonly #stall = new StallClock()
  /** What was waiting at the last sample, and how much of it was being sent. */
  #waiting = 0
  #sending = 0
  /** The connection's byte count when the stream last made progress. */
  #written = 0

  constructor(stream: ServerHttp2Stream, openedAt: number) {
    this.#stream = stream
    this.#openedAt = openedAt
  }

  /**
   * Milliseconds for which the client has taken nothing although bytes were waiting. Called for
   * each sample.
   */
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
