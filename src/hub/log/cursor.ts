// One listener's position in a log, and how it advances.
import { rethrowLater } from '../../internal/rethrow.js'
import type { Entry } from '../hub.js'
import type { EntryLog } from './entry-log.js'

/** Receives the entries of a cursor. */
export interface CursorListener {
  /** Called before each batch. A returned promise pauses the cursor until it settles. */
  room?(): Promise<void> | undefined
  /** A returned promise pauses the cursor until it settles. */
  entries(batch: readonly Entry[]): void | Promise<void>
  /**
   * The log no longer has the entries after the number `after`. The cursor continues after `next`.
   */
  gap(after: number, next: number): void
}

/** Entries per batch. */
const BATCH = 64

/**
 * One listener's position in a log. It keeps no entries: the log has them, and a listener that is
 * too slow gets a gap.
 */
export class Cursor {
  readonly #log: EntryLog
  readonly #listener: CursorListener
  #at: number
  /** True until `begin`, and while the listener is behind. */
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

  /** Starts calling the listener. */
  begin(): void {
    this.#waiting = false
    this.advance()
  }

  /** Hands over entries until there are no more or the listener asks for a pause. */
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
