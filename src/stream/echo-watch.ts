// Whether a client still answers. Pure: times go in (ms, monotonic), a decision comes out.
import type { EchoSettings } from './echo-options.js'

/** A look that comes so much later than it was asked for says that the event loop was blocked, and echoes wait unread. */
const LATE = 1_500

/** Between the look that finds a client silent and the one that gives it up: what the kernel holds is read meanwhile. */
const GRACE = 500

/** Echoes that come closer together than this, or than this part of a beat, are not looked at. */
const CLOSEST = 500
const CLOSEST_PART = 8

/** One client's echoes. */
export class EchoWatch {
  readonly #settings: EchoSettings
  /** Since when an echo is due; `undefined` while none is expected. */
  #since: number | undefined
  #heardAt = Number.NEGATIVE_INFINITY
  #nextCheck = Number.POSITIVE_INFINITY
  #suspected = false
  #overdue = false

  constructor(settings: EchoSettings, now: number) {
    this.#settings = settings
    if (settings.required) this.#since = now
  }

  /** Whether half of the time has passed. */
  get overdue(): boolean {
    return this.#overdue
  }

  /** An echo has come. Returns whether it counts: a client that sends them without a pause gains nothing. */
  hear(now: number): boolean {
    if (now - this.#heardAt < Math.min(CLOSEST, this.#settings.beat / CLOSEST_PART)) return false
    this.#heardAt = now
    // The next one is not due before.
    this.#since = now + this.#settings.beat
    this.#suspected = false
    this.#overdue = false
    return true
  }

  /** Returns the time of the next look, or `'gone'`. */
  check(now: number): number | 'gone' {
    const { silence } = this.#settings
    if (this.#since === undefined) return Number.POSITIVE_INFINITY
    if (now - this.#nextCheck > LATE) {
      this.#since += now - this.#nextCheck
      this.#suspected = false
    }
    const quiet = now - this.#since
    this.#overdue = quiet >= silence / 2
    if (quiet >= silence && this.#suspected) return 'gone'
    this.#suspected = quiet >= silence
    const due = this.#suspected
      ? now + GRACE
      : this.#since + (this.#overdue ? silence : silence / 2)
    // Never later than the next beat, so that a loop that is blocked shows.
    this.#nextCheck = Math.min(due, now + this.#settings.beat)
    return this.#nextCheck
  }
}
