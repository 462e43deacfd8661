// A stream with a `maxAge`. A class of its own, so that streams without one do not carry its deadline.
import type { Verdict } from '../liveness/verdict.js'
import { LiveStream } from './live-stream.js'

export class AgingStream extends LiveStream {
  /** Whole milliseconds: they stay out of the heap. */
  #expiresAt = Number.POSITIVE_INFINITY

  /** Has the stream end by itself. Not the constructor's: the first look comes later anyway. */
  expireAt(time: number): this {
    this.#expiresAt = Math.round(time)
    return this
  }

  override onSample(now: number, stalledFor: number, verdict: Verdict, loopTime: number): number {
    const next = super.onSample(now, stalledFor, verdict, loopTime)
    if (now < this.#expiresAt) return Math.min(next, this.#expiresAt)
    this.finish('expired')
    return next
  }
}
