// One channel's log in memory: entries that are numbered from 1 on, the oldest forgotten first. No timer, no I/O.
import type { Entry, Keep, NewEntry, Page, Position } from '../hub.js'

interface Kept {
  readonly entry: Entry
  readonly at: number
}

/** Bytes of the entries of one page, roughly. */
const PAGE_BYTES = 1024 * 1024

/** A log in memory. Positions are `<era>.<number>`; 0 is the position of a log without entries. */
export class EntryLog {
  readonly #era: string
  readonly #clock: { now(): number }
  #maxEvents = 0
  #maxAge = 0
  #kept: (Kept | undefined)[] = []
  /** Where the oldest is in `#kept`. */
  #head = 0
  /** Its number, or that of the next entry. */
  #first = 1

  constructor(era: string, clock: { now(): number }) {
    this.#era = era
    this.#clock = clock
  }

  /** How many entries there are. */
  get size(): number {
    return this.#kept.length - this.#head
  }

  /** The number of the newest entry ever. */
  get last(): number {
    return this.#first + this.size - 1
  }

  /** How long an entry is kept, ms. */
  get maxAge(): number {
    return this.#maxAge
  }

  /** Keeps as much as the most demanding of those who have opened it. */
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

  /** The number of a position, `NaN` for one of another era and for what is none. */
  numberOf(position: Position): number {
    const start = this.#era.length + 1
    if (!position.startsWith(`${this.#era}.`)) return Number.NaN
    const digits = position.slice(start)
    return /^(0|[1-9]\d{0,14})$/.test(digits) ? Number(digits) : Number.NaN
  }

  /** What comes after one number, up to another. */
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

  /** Forgets what is too old or too much. */
  trim(): void {
    const oldest = this.#clock.now() - this.#maxAge
    while (this.size > this.#maxEvents || (this.#kept[this.#head]?.at ?? oldest) < oldest) {
      this.#kept[this.#head] = undefined
      this.#head += 1
      this.#first += 1
    }
    // Moved down when half is empty: constant time on the whole.
    if (this.#head * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#head)
      this.#head = 0
    }
  }
}
