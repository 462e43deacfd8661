// A stream with a `maxAge`. A class of its own, so that streams without one do not carry its deadline.
import { systemClock } from '../clock.js'
import type { Verdict } from '../liveness/verdict.js'
import { brand } from '../shared.js'
import type { Refusal } from './admission.js'
import { lifetime } from './deadlines.js'
import { LiveStream } from './live-stream.js'
import type { StreamSettings } from './options.js'
import type { Outlet } from './outlet.js'

class AgingStream extends LiveStream {
  /** Whole milliseconds: they stay out of the heap. */
  #expiresAt = Number.POSITIVE_INFINITY

  /** Has the stream end by itself. Not the constructor's: the first look comes later anyway. */
  expireAt(time: number): this {
    this.#expiresAt = Math.round(time)
    return this
  }

  override onLook(now: number, stalledFor: number, verdict: Verdict, loopTime: number): number {
    const next = super.onLook(now, stalledFor, verdict, loopTime)
    if (now < this.#expiresAt) return Math.min(next, this.#expiresAt)
    this.finish('expired')
    return next
  }
}

// Here, where all of them are made.
brand(LiveStream, 'EventStream')

/** The stream of a client, or of one that has been turned away. */
export function makeStream(
  outlet: Outlet,
  settings: StreamSettings,
  lastEventId: string,
  refusal?: Refusal,
): LiveStream {
  const { maxAge } = settings
  if (maxAge === false) return new LiveStream(outlet, settings, lastEventId, refusal)
  const expiresAt = systemClock.now() + lifetime(maxAge)
  return new AgingStream(outlet, settings, lastEventId, refusal).expireAt(expiresAt)
}
