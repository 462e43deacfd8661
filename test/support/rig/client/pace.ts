/** How many bytes a client may read now. Pure arithmetic; the owner has the timer. */
import type { ReadMode } from './types.js'

const TICK_MS = 50
const LARGEST_READ = 16_384

/** The reading allowance of one client. */
export class Pace {
  /** How often {@link tick} is to be called; undefined if it need not be. */
  readonly tickMs: number | undefined
  readonly #mode: ReadMode
  #credit: number
  #tickedAt: number

  /** @param now - a monotonic time in ms */
  constructor(mode: ReadMode, now: number) {
    this.#mode = mode
    this.#tickedAt = now
    this.#credit = mode === 'all' ? Number.POSITIVE_INFINITY : 0
    if (typeof mode === 'object') this.tickMs = 'everyMs' in mode ? mode.everyMs : TICK_MS
  }

  /** How much may be read at once; 0: nothing now. */
  get allowance(): number {
    return Math.max(0, Math.min(Math.floor(this.#credit), LARGEST_READ))
  }

  /** A fitting size for a read that will be allowed by the next tick. */
  get nextRead(): number {
    if (typeof this.#mode === 'string') return LARGEST_READ
    const grant =
      'everyMs' in this.#mode ? this.#mode.bytes : (this.#mode.bytesPerSecond * TICK_MS) / 1000
    return Math.max(1, Math.min(Math.floor(grant), LARGEST_READ))
  }

  /** Grants what the time since the last tick is worth. */
  tick(now: number): void {
    const mode = this.#mode
    if (typeof mode === 'string') return
    if ('everyMs' in mode) {
      this.#credit = Math.min(this.#credit, 0) + mode.bytes
    } else {
      const earned = (mode.bytesPerSecond * (now - this.#tickedAt)) / 1000
      // At most a second's worth: after a pause a slow reader does not turn into a fast one.
      this.#credit = Math.min(this.#credit + earned, Math.max(1, mode.bytesPerSecond))
    }
    this.#tickedAt = now
  }

  /** Takes what was read off the allowance; an overdraft is paid back, up to a second's worth. */
  spend(bytes: number): void {
    const mode = this.#mode
    if (typeof mode === 'string') return
    const floor = 'everyMs' in mode ? -mode.bytes : -mode.bytesPerSecond
    this.#credit = Math.max(this.#credit - bytes, floor)
  }
}
