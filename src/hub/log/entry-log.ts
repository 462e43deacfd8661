// One channel's log in memory: entries numbered from 1 on, of which the oldest is removed first. No
// timer, no I/O.
import type { Entry, Keep, NewEntry, Page, Position } from '../hub.js'

interface Kept {
  readonly entry: Entry
  readonly at: number
}

/** Approximate limit for the entries of one page, in characters. */
const PAGE_BYTES = 1024 * 1024

/** A log in memory. Positions are `<era>.<number>`; 0 is the position of a log without entries. */
export class EntryLog {
  readonly #era: string
  readonly #clock: { now(): number }
  #maxEvents = 0
  #maxAge = 0
  #kept: (Kept | undefined)[] = []
  /** The index of the oldest entry in `#kept`. */
  #head = 0
  /** The number of the oldest entry, or of the next one if the log is empty. */
  #first = 1

  constructor(era: string, clock: { now(): number }) {
    this.#era = era
    this.#clock = clock
  }

  /** How many entries there are. */
  get size(): number {
    return this.#kept.length - this.#head
  }

  /** The number of the newest entry that the log has had. */
  get last(): number {
    return this.#first + this.size - 1
  }

  /** How long an entry is kept, in milliseconds. */
  get maxAge(): number {
    return this.#maxAge
  }

  /** Raises the limits to `keep` if it asks for more. */
  keep({ maxEvents, maxAge = Number.POSITIVE_INFINITY }: Keep): void {
    this.#maxEvents = Math.max(this.#maxEvents, maxEvents)
    this.#maxAge = Math.max(this.#maxAge, maxAge)
  }

  append(entry: NewEntry): Position {
    const position = this.positionOf(this.last + 1)
    this.#kept.push({ entry: { ...entry, position }, at: this.#clock.now() })
    this.trim()
    return position
  }

  positionOf(number: number): Position {
    return `${this.#era}.${number}`
  }

  /**
   * The number of a position. `NaN` for a position of another era, and for a string that is not a
   * position.
   */
  numberOf(position: Position): number {
    const start = this.#era.length + 1
    if (!position.startsWith(`${this.#era}.`)) return Number.NaN
    const digits = position.slice(start)
    return /^(0|[1-9]\d{0,14})$/.test(digits) ? Number(digits) : Number.NaN
  }

  /** The entries after the number `after`, up to and including `upTo`. */
  page(after: number, upTo: number, limit: number): Page {
    this.trim()
    if (!(after <= this.last)) return { outcome: 'unknown', entries: [], more: false }
    const outcome = after + 1 >= this.#first ? 'complete' : 'partial'
    const end = Math.min(upTo, this.last)
    const entries: Entry[] = []
    let bytes = 0
    let next = Math.max(after + 1, this.#first)
    while (next <= end && entries.length < limit && bytes < PAGE_BYTES) {
      const { entry } = this.#kept[this.#head + next - this.#first] as Kept
      entries.push(entry)
      bytes += entry.text.length
      next += 1
    }
    return { outcome, entries, more: next <= end }
  }

  /** Removes entries beyond the limits. */
  trim(): void {
    const oldest = this.#clock.now() - this.#maxAge
    while (this.size > this.#maxEvents || (this.#kept[this.#head]?.at ?? oldest) < oldest) {
      this.#kept[this.#head] = undefined
      this.#head += 1
      this.#first += 1
    }
    // Moving the rest once half is empty takes constant time per entry on average.
    if (this.#head * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#head)
      this.#head = 0
    }
  }
}
