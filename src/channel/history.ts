// What has been broadcast, for clients that come back. No clock of its own, no socket: tested by tables.
import { systemClock } from '../internal/clock.js'
import { type Checks, checkOptions, duration, integer } from '../internal/validate.js'
import type { EncodedEvent } from '../sse/encode.js'

/**
 * What a client that comes back can be sent:
 *
 * - `complete`: everything since its last event.
 * - `partial`: the events right after its last one are forgotten. What is left is sent, so there is a gap.
 * - `unknown`: its last event is not known here, and nothing is sent again.
 */
export type ReplayOutcome = 'complete' | 'partial' | 'unknown'

/** The answer of a history. */
export interface Replay {
  /** How much of what was missed is there. */
  readonly outcome: ReplayOutcome
  /** Oldest first. A later `append` must not change it. */
  readonly events: readonly EncodedEvent[]
}

/**
 * Remembers a channel's events. Both methods are synchronous: subscribing and looking up are one step, and that is why
 * a client that comes back gets no event twice and misses none.
 */
export interface History {
  /**
   * Called once for each broadcast whose event has an id, in order, before anybody is sent the event. If it throws, the broadcast
   * rejects and nobody is. Without an id no client can say whether it has had an event, so such events are never sent again.
   */
  append(event: EncodedEvent): void
  /** What came after the latest event with this id; never called with `''`. */
  since(id: string): Replay
}

/** How much is remembered. Whatever limit comes first counts. */
export interface MemoryHistoryOptions {
  /** @defaultValue 1 000 */
  maxEvents?: number | undefined
  /** Milliseconds. @defaultValue no limit */
  maxAge?: number | undefined
  /** Bytes of the encoded events. @defaultValue 16 MiB */
  maxBytes?: number | undefined
}

/** The limits' table. */
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
 * A history in this process's memory, of events that have an id. `append` takes constant time, `since` constant time and that of copying its answer.
 *
 * Of forgotten events the ids are remembered for a while longer (as many as `maxEvents`), so that a client which is
 * late (`partial`) can be told from one with an id of somebody else's (`unknown`).
 *
 * @example
 * createChannel({ history: new MemoryHistory({ maxEvents: 10_000, maxAge: 3_600_000 }) })
 */
export class MemoryHistory implements History {
  readonly #maxEvents: number
  readonly #maxAge: number
  readonly #maxBytes: number
  readonly #clock: { now(): number }
  /** Numbered from the first ever on: `#entries[i]` is number `#first + i - #head`. */
  #entries: (Entry | undefined)[] = []
  #head = 0
  #first = 0
  #bytes = 0
  readonly #numbers = new Map<string, number>()
  /** The number that each forgotten event had. */
  readonly #forgotten = new Map<string, number>()

  /**
   * @throws {TcpSseError} `ERR_OPTION_*`
   */
  constructor(options: MemoryHistoryOptions = {}, clock: { now(): number } = systemClock) {
    const given = checkOptions(options, historyChecks, 'MemoryHistoryOptions')
    this.#maxEvents = given.maxEvents ?? 1_000
    this.#maxAge = given.maxAge ?? Number.POSITIVE_INFINITY
    this.#maxBytes = given.maxBytes ?? 16 * 1024 * 1024
    this.#clock = clock
  }

  /** How many events are remembered. */
  get size(): number {
    return this.#entries.length - this.#head
  }

  /** Bytes of them. */
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

  since(id: string): Replay {
    this.#trim()
    const number = this.#numbers.get(id) ?? this.#forgotten.get(id)
    if (number === undefined) return { outcome: 'unknown', events: [] }
    // The client has the event with this number: that it is forgotten leaves no gap.
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
    // Moved down now and then: each entry once for each time the array doubles, so constant time on the whole.
    if (this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
  }
}
