// Where one listener stands in a log, and how it is brought on.
import { rethrowLater } from '../../internal/rethrow.js'
import type { Entry } from '../hub.js'
import type { EntryLog } from './entry-log.js'

/** Takes what a cursor has for it. */
export interface CursorListener {
  /** Asked before each batch: a promise is a pause until it settles. */
  room?(): Promise<void> | undefined
  /** A promise asks for a pause until it settles. */
  entries(batch: readonly Entry[]): void | Promise<void>
  /** What came after one number is forgotten; it goes on after the other. */
  gap(after: number, next: number): void
}

/** Entries that are handed over at a time. */
const BATCH = 64

/** One listener's place in a log. It keeps no entries: the log has them, and one that is too slow finds them gone. */
export class Cursor {
  readonly #log: EntryLog
  readonly #listener: CursorListener
  #at: number
  /** Until it begins, and while its listener is behind. */
  #waiting = true
  #closed = false

  constructor(log: EntryLog, listener: CursorListener) {
    this.#log = log
    this.#listener = listener
    this.#at = log.last
  }

  /** The number of the last entry that was handed over. */
  get at(): number {
    return this.#at
  }

  /** From here on its listener is called. */
  begin(): void {
    this.#waiting = false
    this.advance()
  }

  /** Hands over what there is, until the listener asks for a pause. */
  advance(): void {
    while (!this.#closed && !this.#waiting && this.#at < this.#log.last) {
      this.#pauseFor(this.#listener.room?.())
      if (this.#waiting) return
      const { outcome, entries } = this.#log.page(this.#at, this.#log.last, BATCH)
      if (outcome === 'partial') this.#skip(entries)
      const last = entries.at(-1)
      if (last === undefined) return
      this.#at = this.#log.numberOf(last.position)
      this.#pauseFor(this.#listener.entries(entries))
    }
  }

  close(): void {
    this.#closed = true
  }

  #skip(entries: readonly Entry[]): void {
    const [oldest] = entries
    const next = oldest === undefined ? this.#log.last : this.#log.numberOf(oldest.position) - 1
    this.#listener.gap(this.#at, next)
    this.#at = next
  }

  #pauseFor(pause: void | Promise<void>): void {
    if (pause === undefined) return
    this.#waiting = true
    pause.then(
      () => this.begin(),
      (error: unknown) => {
        rethrowLater(error)
        this.begin()
      },
    )
  }
}
