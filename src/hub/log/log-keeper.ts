// All logs that a hub keeps in this process, and their listeners.
import type { Clock } from '../../internal/clock.js'
import { callAtEndOfTick, wallClockNow } from '../../internal/scheduling.js'
import type { Keep, NewEntry, Position } from '../hub.js'
import { Cursor, type CursorListener } from './cursor.js'
import { EntryLog } from './entry-log.js'

/**
 * A log without listeners is removed after its `maxAge`, but at the latest after this time, in
 * milliseconds.
 */
const UNUSED = 3_600_000

/** Time between two sweeps for unused logs, in milliseconds. */
const SWEEP = 10_000

/** One log and its listeners. */
export class KeptLog {
  readonly log: EntryLog
  readonly cursors = new Set<Cursor>()
  usedAt: number
  #scheduled = false

  constructor(log: EntryLog, now: number) {
    this.log = log
    this.usedAt = now
  }

  append(entry: NewEntry, now: number): Position {
    this.usedAt = now
    const position = this.log.append(entry)
    this.#tellLater()
    return position
  }

  listen(listener: CursorListener): Cursor {
    const cursor = new Cursor(this.log, listener)
    this.cursors.add(cursor)
    return cursor
  }

  leave(cursor: Cursor, now: number): void {
    cursor.close()
    this.cursors.delete(cursor)
    this.usedAt = now
  }

  /** Runs once per tick, so that entries which are published together are handed over together. */
  #tellLater(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    callAtEndOfTick(tell, this)
  }

  tell(): void {
    this.#scheduled = false
    for (const cursor of this.cursors) cursor.advance()
  }
}

function tell(kept: KeptLog): void {
  kept.tell()
}

/** The logs, by channel. */
export class LogKeeper {
  readonly #clock: Clock
  readonly #logs = new Map<string, KeptLog>()
  /** Unique to this keeper, so that no two logs share an era. */
  readonly #era =
    `${wallClockNow().toString(36)}${Math.floor(Math.random() * 36 ** 4).toString(36)}`
  #made = 0
  #cancelSweep: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How many logs there are. */
  get size(): number {
    return this.#logs.size
  }

  now(): number {
    return this.#clock.now()
  }

  open(channel: string, keep: Keep): KeptLog {
    let kept = this.#logs.get(channel)
    if (kept === undefined) {
      this.#made += 1
      const era = `${this.#era}-${this.#made.toString(36)}`
      kept = new KeptLog(new EntryLog(era, this.#clock), this.now())
      this.#logs.set(channel, kept)
      this.#cancelSweep ??= this.#clock.after(SWEEP, () => this.#sweep())
    }
    kept.log.keep(keep)
    return kept
  }

  close(): void {
    this.#cancelSweep?.()
    this.#cancelSweep = undefined
    for (const { cursors } of this.#logs.values()) for (const cursor of cursors) cursor.close()
    this.#logs.clear()
  }

  /** Removes the logs of channels that have not been used for long enough. */
  #sweep(): void {
    const now = this.now()
    for (const [channel, kept] of this.#logs) {
      kept.log.trim()
      const lasts = Math.min(kept.log.maxAge, UNUSED)
      if (kept.cursors.size === 0 && now - kept.usedAt > lasts) this.#logs.delete(channel)
    }
    const again = this.#logs.size > 0
    this.#cancelSweep = again ? this.#clock.after(SWEEP, () => this.#sweep()) : undefined
  }
}
