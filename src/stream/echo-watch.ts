// Decides whether a client still answers. Pure: it takes times (ms, monotonic) and returns a decision.
import type { EchoSettings } from './echo-options.js'

/** If a check is later than requested by this much, ms, the event loop was blocked and echoes wait unread. */
const LATE = 1_500

/**
 * Time between the check that finds a client silent and the check that ends its stream, ms. What the kernel holds is
 * read in between.
 */
const GRACE = 500

/** Echoes closer together than this, ms, or than this part of a beat, are ignored. */
const CLOSEST = 500
const CLOSEST_PART = 8

/** The echoes of one client. */
export class EchoWatch {
  readonly #settings: EchoSettings
  /** The time since which an echo has been due; `undefined` while none is expected. */
  #since: number | undefined
  #heardAt = Number.NEGATIVE_INFINITY
  #nextCheck = Number.POSITIVE_INFINITY
  #suspected = false
  #overdue = false

  constructor(settings: EchoSettings, now: number) {
    this.#settings = settings
    if (settings.required) this.#since = now
  }

  /** Whether, at the last check, an echo had been due for at least half of `silence`. */
  get overdue(): boolean {
    return this.#overdue
  }

  /** Records an echo. Returns whether it counts: a client gains nothing from sending echoes without a pause. */
  hear(now: number): boolean {
    if (now - this.#heardAt < Math.min(CLOSEST, this.#settings.beat / CLOSEST_PART)) return false
    this.#heardAt = now
    // The next echo is due one beat later.
    this.#since = now + this.#settings.beat
    this.#suspected = false
    this.#overdue = false
    return true
  }

  /** Returns the time of the next check, or `'gone'`. */
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
    // At most one beat later, so that a blocked event loop is noticed.
    this.#nextCheck = Math.min(due, now + this.#settings.beat)
    return this.#nextCheck
  }
}
