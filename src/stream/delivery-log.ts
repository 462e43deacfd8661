// Records where events end in the connection's byte stream, and their outcomes. It uses no clock and no socket.
import { Deferred } from '../internal/deferred.js'
import type { BroadcastPage } from '../transport/fast/broadcast-page.js'
import { BroadcastRange } from './broadcast-range.js'

/**
 * The outcome of one event:
 * - `delivered`: the peer's kernel has acknowledged its last byte. This does not mean that the application has read it.
 *   Behind a proxy, the peer is the proxy.
 * - `undelivered`: the stream ended before the acknowledgement was seen. The event may have arrived nevertheless.
 * - `dropped`: the overflow policy dropped it.
 * - `unknown`: delivery cannot be known here (TLS, HTTP/2, a Unix socket, a compressed response, no addon), or no event
 *   with this id is remembered.
 */
export type DeliveryOutcome = 'delivered' | 'undelivered' | 'dropped' | 'unknown'

/** What the peer's kernel has acknowledged. */
export interface Delivered {
  /**
   * The id of the last acknowledged event that has one. The client's `Last-Event-ID` can be older, because the kernel
   * acknowledges bytes before the client reads them.
   */
  readonly id: string | undefined
  /** The number of events. */
  readonly events: number
  /** The number of bytes of the response after its head, including HTTP's chunk framing. */
  readonly bytes: number
}

/** Events that were sent or queued, but not acknowledged at the last sample. */
export interface Undelivered {
  /** The ids of those that have one, oldest first; at most the newest 4 096. */
  readonly ids: readonly string[]
  /** The number of events, with or without an id. */
  readonly events: number
  /** Whether ids may be missing from the list, because more than 4 096 events were unacknowledged. */
  readonly overflowed: boolean
}

/** A promise of the outcome of one event. */
export type Confirmation = Deferred<DeliveryOutcome>

/**
 * The number of unacknowledged events that each stream remembers individually. If there are more, the oldest count as
 * undelivered until the last of them is acknowledged. Consecutive broadcasts use the space of one event.
 */
export const TRACKED_EVENTS = 4_096
const INITIAL = 16
/** From this size on, it is worth asking the kernel whether entries can be forgotten before the ring grows. */
const LARGE = 64

/** An event by its id, or a range of broadcasts. */
type Entry = string | BroadcastRange | undefined

/** In-flight entries that were forgotten, combined. */
interface Forgotten {
  /** Offset of the end of the last one. */
  readonly end: number
  /** The last id among them. */
  readonly id: string | undefined
  readonly events: number
}

/**
 * A ring of entries by the offset of their last byte. It grows to `TRACKED_EVENTS` if that many are in flight. Beyond
 * that, the oldest are forgotten, and count as delivered when the last of them is acknowledged.
 */
export class DeliveryLog {
  #ends: number[] = []
  /** Created with the first id or range; token streams have neither. */
  #entries: Entry[] | undefined
  /** Confirmations by event number. */
  #confirmations: Map<number, Confirmation> | undefined
  /**
   * Numbers of entries: [first, acknowledged) are remembered and acknowledged, [acknowledged, next) are not
   * acknowledged.
   */
  #first = 0
  #acknowledged = 0
  #next = 0
  /** The number of acknowledged events in the first unacknowledged entry, which is then a range. */
  #partly = 0
  #recorded = 0
  #delivered = 0
  #lastId: string | undefined
  /** The outcome of everything unacknowledged, after the kernel is no longer asked. */
  #outcome: DeliveryOutcome | undefined
  #forgotten: Forgotten | undefined

  /** The number of events passed to the transport. */
  get recorded(): number {
    return this.#recorded
  }

  /** The number of events whose bytes have all been acknowledged. */
  get delivered(): number {
    return this.#delivered
  }

  /** The id of the last acknowledged event that has one. */
  get lastId(): string | undefined {
    return this.#lastId
  }

  /** Whether unacknowledged events have been forgotten. */
  get overflowed(): boolean {
    return this.#forgotten !== undefined
  }

  /** Whether a confirmation waits for an acknowledgement. */
  get awaited(): boolean {
    return this.#confirmations !== undefined && this.#confirmations.size > 0
  }

  /** Whether the next `record` would grow the ring or forget an entry. A new sample may free space. */
  get full(): boolean {
    const size = this.#ends.length
    return size >= LARGE && this.#next - this.#acknowledged >= size
  }

  /** Records an event whose last byte ends at `end`. Offsets never decrease. */
  record(id: string | undefined, end: number, confirmation?: Confirmation): void {
    this.#append(id, end)
    if (confirmation !== undefined) this.#wait(this.#recorded, confirmation)
    this.#recorded += 1
  }

  /** Records broadcasts of a page that begins at `base`, from `first` to `next - 1`. */
  recordRange(page: BroadcastPage, first: number, next: number, base: number): void {
    this.#recorded += next - first
    const last = this.#entryAt(this.#next - 1)
    if (
      !(last instanceof BroadcastRange) ||
      last.page !== page ||
      last.next !== first ||
      last.base !== base
    ) {
      const range = new BroadcastRange(page, first, next, base)
      this.#append(range, range.end)
      return
    }
    if (this.#acknowledged === this.#next) {
      this.#acknowledged -= 1
      this.#partly = last.count
    }
    last.next = next
    this.#ends[(this.#next - 1) % this.#ends.length] = last.end
  }

  /** Marks everything before `offset` as acknowledged. */
  acknowledge(offset: number): void {
    if (this.#forgotten !== undefined) {
      const { end, id, events } = this.#forgotten
      if (end > offset) return
      this.#forgotten = undefined
      this.#deliver(events, id)
    }
    while (this.#acknowledged < this.#next) {
      const entry = this.#entryAt(this.#acknowledged)
      const isWhole = (this.#ends[this.#acknowledged % this.#ends.length] as number) <= offset
      if (entry instanceof BroadcastRange) {
        const count = isWhole ? entry.count : entry.countUpTo(offset)
        this.#deliver(count - this.#partly, entry.lastId(this.#partly, count))
        this.#partly = isWhole ? 0 : count
      } else if (isWhole) this.#deliver(1, entry)
      if (!isWhole) return
      this.#acknowledged += 1
    }
  }

  /**
   * The confirmation of the latest event with this id: settled if the event is known to be delivered, else pending;
   * `undefined` if the event is forgotten.
   */
  find(id: string): Confirmation | undefined {
    let number = this.#recorded
    for (let index = this.#next - 1; index >= this.#first; index--) {
      const entry = this.#entryAt(index)
      const inRange = entry instanceof BroadcastRange ? entry.find(id) : entry === id ? 0 : -1
      number -= entry instanceof BroadcastRange ? entry.count : 1
      if (inRange >= 0) return this.#confirmationOf(number + inRange)
    }
    return undefined
  }

  /** The ids of the unacknowledged events, oldest first. */
  undeliveredIds(): string[] {
    const ids: string[] = []
    for (let index = this.#acknowledged; index < this.#next; index++) {
      const entry = this.#entryAt(index)
      if (entry instanceof BroadcastRange) {
        const from = index === this.#acknowledged ? this.#partly : 0
        ids.push(...entry.ids(from, entry.count))
      } else if (entry !== undefined) ids.push(entry)
    }
    return ids
  }

  /** Settles all pending confirmations with an outcome, which later ones get too. */
  settleAll(outcome: DeliveryOutcome): void {
    this.#outcome = outcome
    for (const number of [...(this.#confirmations?.keys() ?? [])]) this.#settle(number, outcome)
  }

  /** Marks the next events as delivered. */
  #deliver(events: number, lastId: string | undefined): void {
    this.#lastId = lastId ?? this.#lastId
    const until = this.#delivered + events
    if (this.awaited) {
      for (let number = this.#delivered; number < until; number++) {
        this.#settle(number, 'delivered')
      }
    }
    this.#delivered = until
  }

  #confirmationOf(number: number): Confirmation {
    const waiting = this.#confirmations?.get(number)
    if (waiting !== undefined) return waiting
    const confirmation: Confirmation = new Deferred()
    if (number < this.#delivered) confirmation.resolve('delivered')
    else if (this.#outcome !== undefined) confirmation.resolve(this.#outcome)
    else this.#wait(number, confirmation)
    return confirmation
  }

  #settle(number: number, outcome: DeliveryOutcome): void {
    this.#confirmations?.get(number)?.resolve(outcome)
    this.#confirmations?.delete(number)
  }

  #wait(number: number, confirmation: Confirmation): void {
    this.#confirmations ??= new Map()
    this.#confirmations.set(number, confirmation)
  }

  #entryAt(index: number): Entry {
    return this.#entries?.[index % this.#ends.length]
  }

  #append(entry: Entry, end: number): void {
    if (this.#next - this.#first === this.#ends.length) this.#makeRoom()
    const slot = this.#next % this.#ends.length
    this.#ends[slot] = end
    if (entry !== undefined) this.#entries ??= new Array(this.#ends.length).fill(undefined)
    if (this.#entries !== undefined) this.#entries[slot] = entry
    this.#next += 1
  }

  /**
   * Makes space for an entry: forgets the oldest if it was delivered, else grows if allowed, else forgets the oldest
   * anyway.
   */
  #makeRoom(): void {
    const size = this.#ends.length
    const inFlight = this.#acknowledged === this.#first
    if (size === 0 || (inFlight && size < TRACKED_EVENTS)) {
      this.#grow(Math.min(TRACKED_EVENTS, Math.max(INITIAL, size * 4)))
      return
    }
    if (inFlight) this.#forgetOldestInFlight()
    this.#first += 1
  }

  #forgetOldestInFlight(): void {
    const entry = this.#entryAt(this.#first)
    const { id: before, events: already = 0 } = this.#forgotten ?? {}
    const isRange = entry instanceof BroadcastRange
    const events = already + (isRange ? entry.count - this.#partly : 1)
    const id = isRange ? entry.lastId(this.#partly, entry.count) : entry
    for (let number = this.#delivered + already; number < this.#delivered + events; number++) {
      this.#settle(number, 'unknown')
    }
    const end = this.#ends[this.#first % this.#ends.length] as number
    this.#forgotten = { end, id: id ?? before, events }
    this.#partly = 0
    this.#acknowledged += 1
  }

  #grow(size: number): void {
    this.#ends = this.#moved(this.#ends, new Array(size).fill(0))
    if (this.#entries !== undefined) {
      this.#entries = this.#moved(this.#entries, new Array(size).fill(undefined))
    }
  }

  /** Copies the remembered entries to a larger ring. */
  #moved<T>(from: readonly T[], into: T[]): T[] {
    for (let index = this.#first; index < this.#next; index++) {
      into[index % into.length] = from[index % from.length] as T
    }
    return into
  }
}
