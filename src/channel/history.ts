// Stores events that have been broadcast, for clients that reconnect. It has no timer and no
// socket.
import { type Clock, systemClock } from '../internal/clock.js'
import { type Checks, checkOptions, duration, integer } from '../internal/validate.js'
import type { EncodedEvent } from '../sse/encode.js'

/**
 * What a client that reconnects can be sent:
 *
 * - `complete`: all events since its last one.
 * - `partial`: the events right after its last one are forgotten. The rest is sent, so there is a
 *   gap.
 * - `unknown`: its last event is not known here. Nothing is replayed.
 */
export type ReplayOutcome = 'complete' | 'partial' | 'unknown'

/** The result of a lookup in a history. */
export interface HistoryReplay {
  /** How much of what the client has missed is available. */
  readonly outcome: ReplayOutcome
  /** The events, oldest first. A later `append` must not change this array. */
  readonly events: readonly EncodedEvent[]
}

/**
 * Stores a channel's events. Both methods are synchronous: subscribing and looking up must be one
 * step, so that a client that reconnects misses no event and gets none twice.
 */
export interface History {
  /**
   * Called once for each broadcast whose event has an id, in order, before the event is sent to any
   * stream. If it throws, the broadcast rejects and no stream gets the event. Events without an id
   * are never replayed, because no client can say whether it has received them.
   */
  append(event: EncodedEvent): void
  /** Returns the events after the latest event with this id. Never called with `''`. */
  since(id: string): HistoryReplay
}

/** How much is stored. The limit that is reached first applies. */
export interface MemoryHistoryOptions {
  /** The number of events, 1 to 10 000 000. @defaultValue 1 000 */
  maxEvents?: number | undefined
  /** How old an event may be, in milliseconds. @defaultValue no limit */
  maxAge?: number | undefined
  /** Bytes of the encoded events. @defaultValue 16 MiB */
  maxBytes?: number | undefined
}

/** The table of the limits. */
export const historyChecks: Checks<MemoryHistoryOptions> = {
  maxEvents: integer('events', { min: 1, max: 10_000_000 }),
  maxAge: duration(),
  maxBytes: integer('bytes', { min: 1, max: Number.MAX_SAFE_INTEGER }),
}

interface Entry {
  readonly event: EncodedEvent
  readonly at: number
}

/**
 * A history in this process's memory, of events that have an id. `append` takes constant time.
 * `since` takes the time to copy its result.
 *
 * The ids of forgotten events are kept a while longer (as many as `maxEvents`). They distinguish a
 * client that is too late (`partial`) from one whose id comes from elsewhere (`unknown`).
 *
 * @example
 * createChannel({ history: new MemoryHistory({ maxEvents: 10_000, maxAge: 3_600_000 }) })
 */
export class MemoryHistory implements History {
  readonly #maxEvents: number
  readonly #maxAge: number
  readonly #maxBytes: number
  readonly #clock: Pick<Clock, 'now'>
  /**
   * Events have numbers, counted from the first one ever: `#entries[i]` is number
   * `#first + i - #head`.
   */
  #entries: (Entry | undefined)[] = []
  #head = 0
  #first = 0
  #bytes = 0
  readonly #numbers = new Map<string, number>()
  /** The number of each forgotten event. */
  readonly #forgotten = new Map<string, number>()

  /**
   * @throws {TcpSseError} `ERR_OPTION_*`
   */
  constructor(options?: MemoryHistoryOptions)
  /** @internal */
  constructor(options: MemoryHistoryOptions, clock: Pick<Clock, 'now'>)
  constructor(options: MemoryHistoryOptions = {}, clock: Pick<Clock, 'now'> = systemClock) {
    const given = checkOptions(options, historyChecks, 'MemoryHistoryOptions')
    this.#maxEvents = given.maxEvents ?? 1_000
    this.#maxAge = given.maxAge ?? Number.POSITIVE_INFINITY
    this.#maxBytes = given.maxBytes ?? 16 * 1024 * 1024
    this.#clock = clock
  }

  /** The number of stored events. */
  get size(): number {
    return this.#entries.length - this.#head
  }

  /** The size of the stored events, in bytes. */
  get bytes(): number {
    return this.#bytes
  }

  append(event: EncodedEvent): void {
    const { id = '', bytes } = event
    if (id === '') return
    this.#entries.push({ event, at: this.#clock.now() })
    this.#bytes += bytes.length
    this.#numbers.set(id, this.#first + this.size - 1)
    this.#forgotten.delete(id)
    this.#trim()
  }

  since(id: string): HistoryReplay {
    this.#trim()
    const number = this.#numbers.get(id) ?? this.#forgotten.get(id)
    if (number === undefined) return { outcome: 'unknown', events: [] }
    // The client already has the event with this number, so it leaves no gap if that one is
    // forgotten.
    if (number + 1 >= this.#first) return { outcome: 'complete', events: this.#from(number + 1) }
    return { outcome: 'partial', events: this.#from(this.#first) }
  }

  #from(number: number): EncodedEvent[] {
    const entries = this.#entries.slice(this.#head + number - this.#first) as Entry[]
    return entries.map(({ event }) => event)
  }

  #trim(): void {
    const oldest = this.#clock.now() - this.#maxAge
    while (this.size > 0) {
      const { at } = this.#entries[this.#head] as Entry
      const within = this.size <= this.#maxEvents && this.#bytes <= this.#maxBytes && at >= oldest
      if (within) return
      this.#forgetOldest()
    }
  }

  #forgetOldest(): void {
    const { event } = this.#entries[this.#head] as Entry
    const { id = '', bytes } = event
    if (this.#numbers.get(id) === this.#first) {
      this.#numbers.delete(id)
      this.#forgotten.set(id, this.#first)
      if (this.#forgotten.size > this.#maxEvents) {
        const [eldest = ''] = this.#forgotten.keys()
        this.#forgotten.delete(eldest)
      }
    }
    this.#entries[this.#head] = undefined
    this.#bytes -= bytes.length
    this.#first += 1
    this.#head += 1
    // Moving the rest once half is empty takes constant time per event on average.
    if (this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
  }
}
