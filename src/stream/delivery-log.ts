// Which events end where in the connection's byte stream, and what has become of each. No clock, no socket.
import { Deferred } from '../internal/deferred.js'
import type { BroadcastPage } from '../transport/fast/broadcast-page.js'

/**
 * What became of one event:
 * - `delivered`: the kernel of the peer has acknowledged its last byte. Not that an application has read it; behind
 *   a proxy the peer is the proxy.
 * - `undelivered`: the stream ended before that was known.
 * - `dropped`: by the overflow policy.
 * - `unknown`: it cannot be known here (TLS, HTTP/2, a Unix socket, a compressed response, no addon), or no event
 *   with this id is remembered.
 */
export type DeliveryOutcome = 'delivered' | 'undelivered' | 'dropped' | 'unknown'

/** What the peer's kernel has acknowledged. */
export interface Delivered {
  /** The id of the last such event that has one; the client's `Last-Event-ID` is never behind it for long. */
  readonly id: string | undefined
  /** How many events. */
  readonly events: number
  /** How many bytes of the response after its head, HTTP's chunk framing counted in. */
  readonly bytes: number
}

/** The events that were sent or queued, and not acknowledged when last looked. */
export interface Undelivered {
  /** The ids of those that have one, oldest first, the newest 4 096 at most. */
  readonly ids: readonly string[]
  /** How many events, with or without an id. */
  readonly events: number
  /** Whether ids are missing from the list because there were more. */
  readonly overflowed: boolean
}

/** Somebody who waits to hear about one event. */
export type Confirmation = Deferred<DeliveryOutcome>

/**
 * How many unacknowledged events of its own each stream remembers one by one. Of more, the oldest count as undelivered
 * until the last of them is acknowledged. Broadcasts that follow each other take the room of one event.
 */
export const TRACKED_EVENTS = 4_096
const INITIAL = 16
/** From this size on it is worth asking the kernel whether some could be forgotten instead of growing. */
const LARGE = 64

/** Broadcasts of one page, the one after the other with nothing between. */
class BroadcastRange {
  readonly page: BroadcastPage
  readonly first: number
  /** Where the page begins, in the connection's outgoing bytes. */
  readonly base: number
  next: number

  constructor(page: BroadcastPage, first: number, next: number, base: number) {
    this.page = page
    this.first = first
    this.next = next
    this.base = base
  }

  get count(): number {
    return this.next - this.first
  }

  get end(): number {
    return this.base + this.page.end(this.next)
  }

  /** How many of the events end at `offset` or before. */
  countUpTo(offset: number): number {
    let low = this.first
    let high = this.next
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.base + this.page.end(middle + 1) <= offset) low = middle + 1
      else high = middle
    }
    return low - this.first
  }

  /** The ids of the events from the `from`th to the `to`th, oldest first. */
  ids(from: number, to: number): string[] {
    const ids: string[] = []
    for (let index = this.first + from; index < this.first + to; index++) {
      const id = this.page.id(index)
      if (id !== undefined) ids.push(id)
    }
    return ids
  }

  /** How many events come before the last one with this id; -1 for none. */
  find(id: string): number {
    for (let index = this.next - 1; index >= this.first; index--) {
      if (this.page.id(index) === id) return index - this.first
    }
    return -1
  }
}

/** An event by its id, or a range of broadcasts. */
type Entry = string | BroadcastRange | undefined

/** Entries that were forgotten in flight, as one. */
interface Forgotten {
  /** Where the last of them ends. */
  readonly end: number
  /** The last id among them. */
  readonly id: string | undefined
  readonly events: number
}

/**
 * A ring of entries by the offset of their last byte. It grows from nothing to `TRACKED_EVENTS` when that many are in
 * flight; beyond that the oldest are forgotten, and counted as delivered when the last of them is acknowledged.
 */
export class DeliveryLog {
  #ends: number[] = []
  /** Made with the first id or range: token streams have none. */
  #entries: Entry[] | undefined
  /** By the number of the event. */
  #confirmations: Map<number, Confirmation> | undefined
  /** Numbers of entries: [first, acknowledged) are remembered and acknowledged, [acknowledged, next) are not. */
  #first = 0
  #acknowledged = 0
  #next = 0
  /** How many events of the first unacknowledged entry are acknowledged all the same: it is a range then. */
  #partly = 0
  #recorded = 0
  #delivered = 0
  #lastId: string | undefined
  /** What has become of all that was not acknowledged, once nobody asks the kernel any more. */
  #outcome: DeliveryOutcome | undefined
  #forgotten: Forgotten | undefined

  /** Events that were handed over. */
  get recorded(): number {
    return this.#recorded
  }

  /** Events of which every byte has been acknowledged. */
  get delivered(): number {
    return this.#delivered
  }

  /** The id of the last acknowledged event that had one. */
  get lastId(): string | undefined {
    return this.#lastId
  }

  /** Whether unacknowledged events have been forgotten. */
  get overflowed(): boolean {
    return this.#forgotten !== undefined
  }

  /** Whether somebody waits for an acknowledgement. */
  get awaited(): boolean {
    return this.#confirmations !== undefined && this.#confirmations.size > 0
  }

  /** Whether the next `record` would grow the ring or forget something: a fresh look may make room. */
  get full(): boolean {
    const size = this.#ends.length
    return size >= LARGE && this.#next - this.#acknowledged >= size
  }

  /** Notes an event whose last byte ends at `end`. Offsets never decrease. */
  record(id: string | undefined, end: number, confirmation?: Confirmation): void {
    this.#append(id, end)
    if (confirmation !== undefined) this.#wait(this.#recorded, confirmation)
    this.#recorded += 1
  }

  /** Notes broadcasts of a page that begins at `base`, from `first` up to `next`. */
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

  /** Everything before `offset` has been acknowledged. */
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
        this.#deliver(count - this.#partly, entry.ids(this.#partly, count).at(-1))
        this.#partly = isWhole ? 0 : count
      } else if (isWhole) this.#deliver(1, entry)
      if (!isWhole) return
      this.#acknowledged += 1
    }
  }

  /** The latest event with this id: settled if it is known to be delivered, waiting if not; absent if forgotten. */
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

  /** Settles the tickets of all that is unacknowledged, and those of later questions. */
  settleAll(outcome: DeliveryOutcome): void {
    this.#outcome = outcome
    for (const number of [...(this.#confirmations?.keys() ?? [])]) this.#settle(number, outcome)
  }

  /** These events are the next that are acknowledged. */
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

  /** Forgets the oldest if it was delivered; grows while that is allowed; else forgets the oldest all the same. */
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
    const id = isRange ? entry.ids(this.#partly, entry.count).at(-1) : entry
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

  /** What is remembered, in a larger ring. */
  #moved<T>(from: readonly T[], into: T[]): T[] {
    for (let index = this.#first; index < this.#next; index++) {
      into[index % into.length] = from[index % from.length] as T
    }
    return into
  }
}
