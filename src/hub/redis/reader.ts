// One blocking connection that reads the ends of many logs.
import { callAtEndOfTick, monotonicNow } from '../../internal/scheduling.js'
import type { RedisConnector } from './connector.js'
import { Link } from './link.js'
import type { Ask } from './log.js'
import type { Settings } from './options.js'
import { entriesByKey, type RawEntry } from './replies.js'
import type { Session } from './session.js'
import { BATCH, type Tail } from './tail.js'

/** What a reader needs from its hub. */
export interface ReaderOptions {
  readonly connector: RedisConnector
  readonly settings: Settings
  /** A stream that only this reader reads. An entry in it ends a blocking read. */
  readonly wakeKey: string
  /** Adds such an entry, over another connection. */
  readonly wake: (key: string) => void
}

/**
 * A read that took this much longer than it may block was delayed by the event loop or the server,
 * in milliseconds.
 */
const LATE = 1_000

/** Reads for up to `channelsPerConnection` feeds, at most one per channel. */
export class Reader {
  readonly #options: ReaderOptions
  readonly #tails = new Map<string, Tail>()
  readonly #link: Link
  #blocked = false
  #woken = false
  /** Whether feeds were added or removed since the last check. */
  #changed = false
  #cause: Error | undefined

  constructor(options: ReaderOptions) {
    this.#options = options
    this.#link = new Link(options.connector, options.settings, {
      up: (session) => void this.#read(session),
      down: (cause) => this.#down(cause),
    })
  }

  get size(): number {
    return this.#tails.size
  }

  has(key: string): boolean {
    return this.#tails.has(key)
  }

  add(tail: Tail): void {
    this.#tails.set(tail.key, tail)
    tail.onResume = () => this.#wake()
    this.#wake()
    // Deferred, because `Hub.open` must not call the listener.
    callAtEndOfTick(() => {
      if (this.#cause !== undefined) tail.state('down', this.#cause)
    }, undefined)
  }

  remove(tail: Tail): void {
    if (this.#tails.get(tail.key) !== tail) return
    this.#tails.delete(tail.key)
    this.#wake()
  }

  close(): void {
    this.#link.close()
  }

  /** Ends a blocking read, because the set of feeds has changed. */
  #wake(): void {
    this.#changed = true
    if (!this.#blocked || this.#woken) return
    this.#woken = true
    this.#options.wake(this.#options.wakeKey)
  }

  #down(cause: Error): void {
    this.#cause = cause
    for (const tail of this.#tails.values()) tail.state('down', cause)
  }

  /** Reads until the connection is lost. */
  async #read(session: Session): Promise<void> {
    const { answerWithin } = this.#options.settings
    const ask: Ask = (...args) => session.command(args, answerWithin)
    this.#cause = undefined
    try {
      for (const tail of this.#tails.values()) {
        tail.state('catching-up')
        tail.suspect = true
        tail.checkedAt = Number.NEGATIVE_INFINITY
      }
      let wakeId = await this.#once(session, ask, '0-0', false)
      while (session.lost === undefined) wakeId = await this.#once(session, ask, wakeId, true)
    } catch (error) {
      // Also for a command that the server refused: the next connection may be allowed to send it.
      session.fail(error as Error)
    }
  }

  /** One round. Returns the last id that was read from the wake-up stream. */
  async #once(session: Session, ask: Ask, wakeId: string, block: boolean): Promise<string> {
    const { wakeKey, settings } = this.#options
    await this.#check(ask)
    const tails = [...this.#tails.values()].filter((tail) => tail.ready)
    const keys = [wakeKey, ...tails.map(({ key }) => key)]
    const ids = [wakeId, ...tails.map(({ place }) => place?.id ?? '$')]
    const blocking = block ? ['BLOCK', String(settings.blockFor)] : []
    const args = ['XREAD', 'COUNT', String(BATCH), ...blocking, 'STREAMS', ...keys, ...ids]
    const longest = block ? settings.blockFor : 0
    const began = monotonicNow()
    this.#blocked = block
    const reply = await session.command(args, longest + settings.answerWithin)
    this.#blocked = false
    this.#woken = false
    const read = entriesByKey(reply)
    const late = monotonicNow() - began > longest + LATE
    await Promise.all(tails.map((tail) => take(ask, tail, read.get(tail.key), late)))
    return read.get(wakeKey)?.at(-1)?.id ?? wakeId
  }

  /**
   * Opens the logs of new feeds, and checks those that have had no entries for a while. Repeats
   * this if feeds were added or removed in the meantime.
   */
  async #check(ask: Ask): Promise<void> {
    do {
      this.#changed = false
      const due = monotonicNow() - this.#options.settings.checkEvery
      const tails = [...this.#tails.values()].filter(
        ({ place, checkedAt }) => place === undefined || checkedAt < due,
      )
      await Promise.all(tails.map((tail) => tail.check(ask)))
    } while (this.#changed)
  }
}

async function take(
  ask: Ask,
  tail: Tail,
  entries: readonly RawEntry[] | undefined,
  late: boolean,
): Promise<void> {
  if (late) tail.suspect = true
  if (entries === undefined) tail.state('live')
  else await tail.take(ask, entries)
}
