// A stream with `maxAge`. It is a class of its own, so that other streams do not have its deadline.
import type { Verdict } from '../liveness/verdict.js'
import { LiveStream } from './live-stream.js'

export class AgingStream extends LiveStream {
  /** Whole milliseconds, which stay off the heap. */
  #expiresAt = Number.POSITIVE_INFINITY

  /**
   * Sets the time at which the stream ends. This is not a constructor argument, because the first sample comes later
   * anyway.
   */
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
