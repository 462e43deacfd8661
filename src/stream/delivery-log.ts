// Which events end where in the connection's byte stream, and what has become of each. No clock, no socket.
import { Deferred } from '../internal/deferred.js'

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
export type Ticket = Deferred<DeliveryOutcome>

/**
 * How many unacknowledged events are remembered one by one, for each stream. Of more, the oldest count as undelivered
 * until the last of them is acknowledged.
 */
export const TRACKED_EVENTS = 4_096
const INITIAL = 16
/** From this size on it is worth asking the kernel whether some could be forgotten instead of growing. */
const LARGE = 64

/**
 * A ring of events by the offset of their last byte. It grows from nothing to `TRACKED_EVENTS` when that many are in
 * flight; beyond that the oldest are forgotten, and counted as delivered when the last of them is acknowledged.
 */
export class DeliveryLog {
  #ends: number[] = []
  /** Made with the first id: token streams have none. */
  #ids: (string | undefined)[] | undefined
  #tickets: Map<number, Ticket> | undefined
  /** Sequence numbers: [first, acknowledged) are remembered and acknowledged, [acknowledged, next) are not. */
  #first = 0
  #acknowledged = 0
  #next = 0
  #lastId: string | undefined
  /** What has become of all that was not acknowledged, once nobody asks the kernel any more. */
  #outcome: DeliveryOutcome | undefined
  /** Of the events that were forgotten in flight: where the last of them ends, and the last id among them. */
  #forgottenEnd = 0
  #forgottenId: string | undefined

  /** Events that were handed over. */
  get recorded(): number {
    return this.#next
  }

  /** Events of which every byte has been acknowledged. */
  get delivered(): number {
    return this.#acknowledged
  }

  /** The id of the last acknowledged event that had one. */
  get lastId(): string | undefined {
    return this.#lastId
  }

  /** Whether more are unacknowledged than the ring remembers: [acknowledged, first) are forgotten then. */
  get overflowed(): boolean {
    return this.#acknowledged < this.#first
  }

  /** Whether somebody waits for an acknowledgement. */
  get awaited(): boolean {
    return this.#tickets !== undefined && this.#tickets.size > 0
  }

  /** Whether the next `record` would grow the ring or forget something: a fresh look may make room. */
  get full(): boolean {
    const size = this.#ends.length
    return size >= LARGE && this.#next - this.#acknowledged >= size
  }

  /** Notes an event whose last byte ends at `end`. Offsets never decrease. */
  record(id: string | undefined, end: number, ticket?: Ticket): void {
    const remembered = this.#next - this.#first
    if (remembered === this.#ends.length) this.#makeRoom()
    const slot = this.#next % this.#ends.length
    this.#ends[slot] = end
    if (id !== undefined) this.#ids ??= new Array(this.#ends.length).fill(undefined)
    if (this.#ids !== undefined) this.#ids[slot] = id
    if (ticket !== undefined) this.#wait(this.#next, ticket)
    this.#next += 1
  }

  /** Everything before `offset` has been acknowledged. */
  acknowledge(offset: number): void {
    if (this.overflowed) {
      if (this.#forgottenEnd > offset) return
      this.#acknowledged = this.#first
      this.#lastId = this.#forgottenId ?? this.#lastId
      this.#forgottenId = undefined
    }
    const size = this.#ends.length
    while (this.#acknowledged < this.#next) {
      const slot = this.#acknowledged % size
      if ((this.#ends[slot] as number) > offset) return
      this.#lastId = this.#ids?.[slot] ?? this.#lastId
      this.#settle(this.#acknowledged, 'delivered')
      this.#acknowledged += 1
    }
  }

  /** The latest event with this id: settled if it is known to be delivered, waiting if not; absent if forgotten. */
  find(id: string): Ticket | undefined {
    const ids = this.#ids
    if (ids === undefined) return undefined
    for (let sequence = this.#next - 1; sequence >= this.#first; sequence--) {
      if (ids[sequence % ids.length] !== id) continue
      const waiting = this.#tickets?.get(sequence)
      if (waiting !== undefined) return waiting
      const ticket: Ticket = new Deferred()
      if (sequence < this.#acknowledged) ticket.resolve('delivered')
      else if (this.#outcome !== undefined) ticket.resolve(this.#outcome)
      else this.#wait(sequence, ticket)
      return ticket
    }
    return undefined
  }

  /** The ids of the unacknowledged events, oldest first. */
  undeliveredIds(): string[] {
    const ids: string[] = []
    for (
      let sequence = Math.max(this.#acknowledged, this.#first);
      sequence < this.#next;
      sequence++
    ) {
      const id = this.#ids?.[sequence % this.#ends.length]
      if (id !== undefined) ids.push(id)
    }
    return ids
  }

  /** Tells everybody who still waits, and whoever asks later. */
  settleAll(outcome: DeliveryOutcome): void {
    this.#outcome = outcome
    for (const sequence of [...(this.#tickets?.keys() ?? [])]) this.#settle(sequence, outcome)
  }

  #settle(sequence: number, outcome: DeliveryOutcome): void {
    this.#tickets?.get(sequence)?.resolve(outcome)
    this.#tickets?.delete(sequence)
  }

  #wait(sequence: number, ticket: Ticket): void {
    this.#tickets ??= new Map()
    this.#tickets.set(sequence, ticket)
  }

  /** Forgets the oldest if it was delivered; grows while that is allowed; else forgets the oldest all the same. */
  #makeRoom(): void {
    const size = this.#ends.length
    const inFlight = this.#acknowledged <= this.#first
    if (size === 0 || (inFlight && size < TRACKED_EVENTS)) {
      this.#grow(Math.min(TRACKED_EVENTS, Math.max(INITIAL, size * 4)))
      return
    }
    if (inFlight) this.#forgetOldestInFlight()
    this.#first += 1
  }

  #forgetOldestInFlight(): void {
    const slot = this.#first % this.#ends.length
    this.#settle(this.#first, 'unknown')
    this.#forgottenEnd = this.#ends[slot] as number
    this.#forgottenId = this.#ids?.[slot] ?? this.#forgottenId
  }

  #grow(size: number): void {
    this.#ends = this.#moved(this.#ends, new Array(size).fill(0))
    if (this.#ids !== undefined) this.#ids = this.#moved(this.#ids, new Array(size).fill(undefined))
  }

  /** What is remembered, in a larger ring. */
  #moved<T>(from: readonly T[], into: T[]): T[] {
    for (let sequence = this.#first; sequence < this.#next; sequence++) {
      into[sequence % into.length] = from[sequence % from.length] as T
    }
    return into
  }
}
