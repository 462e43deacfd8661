// A cohort: subscribers of a channel that are in the same state. Nothing waits for them, and they have been sent every
// earlier broadcast. They are rows of typed arrays, and a broadcast is one system call per row that touches no object
// of a client.
//
// A member's data is derived from the cohort's page of broadcasts, from the member's first one on. The member gets it
// when it asks (`settle`), when it leaves, and once per page.
//
// A row's descriptor stays valid, because any call that uses the handle first removes the member: see native/handle.ts,
// and fast/hooks.ts for writes that do not reach the handle at once.
import { counters } from '../../internal/counters.js'
import { addon } from '../../native/binding.js'
import { asChunk } from '../../sse/chunk.js'
import type { EncodedEvent } from '../../sse/encode.js'
import type { FastPath, Seat } from '../transport.js'
import { BroadcastPage, PAGE } from './broadcast-page.js'
import { grown } from './grown.js'

/** An object that can be a member. */
export interface CohortMember {
  readonly fast: FastPath | undefined
  /** The broadcasts of the page from `first` to `next - 1` were sent to it. */
  credit(page: BroadcastPage, first: number, next: number): void
  /** It has left the cohort. `missed`: the current broadcast was not sent to it. */
  onLeave(missed: boolean): void
}

/** The outcome of a broadcast, in members. */
interface Outcome {
  sent: number
  queued: number
  closed: number
}

const NO_ROW = -1
const EMPTY = new BroadcastPage()

/** One member's row. */
class CohortSeat<R extends CohortMember> implements Seat {
  readonly member: R
  readonly #cohort: Cohort<R>
  row: number

  constructor(cohort: Cohort<R>, member: R, row: number) {
    this.#cohort = cohort
    this.member = member
    this.row = row
  }

  settle(): void {
    if (this.row !== NO_ROW) this.#cohort.settle(this.row)
  }

  leave(): void {
    if (this.row !== NO_ROW) this.#cohort.leave(this.row)
  }
}

/** Members in rows. There is one current broadcast at a time. */
export class Cohort<R extends CohortMember> {
  #fds = new Int32Array(64)
  /** For each row, the position on the page of the first broadcast that its member has not been credited with. */
  #firsts = new Int32Array(64)
  readonly #seats: (CohortSeat<R> | undefined)[] = []
  /** Rows of members that have left. The next broadcast fills them. */
  #holes: number[] = []
  #page = EMPTY
  #previousPage = EMPTY
  #chunk: Buffer = Buffer.alloc(0)
  /** The next row of the current broadcast, and its number of rows. */
  #at = 0
  #end = 0
  #partial = new Int32Array(1)

  /** The number of members. */
  get size(): number {
    return this.#seats.length - this.#holes.length
  }

  /** Whether the current broadcast has not reached all rows. */
  get isSending(): boolean {
    return this.#at < this.#end
  }

  /** The current members. */
  members(): R[] {
    return this.#seats.flatMap((seat) => (seat === undefined ? [] : seat.member))
  }

  /** Adds a member if it is in the right state. Do not call this during a broadcast. */
  join(member: R): CohortSeat<R> | undefined {
    const { fast } = member
    if (fast === undefined || addon === undefined) return undefined
    fast.seat?.leave()
    const fd = fast.claimDescriptor()
    if (fd < 0) return undefined
    const row = this.#seats.length
    if (row === this.#fds.length) {
      this.#fds = grown(this.#fds)
      this.#firsts = grown(this.#firsts)
    }
    const seat = new CohortSeat(this, member, row)
    this.#fds[row] = fd
    this.#firsts[row] = this.#page.length
    this.#seats.push(seat)
    fast.seat = seat
    return seat
  }

  /** Starts a broadcast to all members. */
  begin(event: EncodedEvent): void {
    this.#fillHoles()
    if (this.#page.length % PAGE === 0) {
      this.#previousPage = this.#page
      this.#page = new BroadcastPage()
    }
    this.#page.add(event)
    this.#chunk = asChunk(event.bytes)
    this.#at = 0
    this.#end = this.#seats.length
  }

  /** Sends to the next rows, at most `count`. */
  sendSlice(count: number, outcome: Outcome): void {
    const from = this.#at
    const to = Math.min(from + count, this.#end)
    if (this.#page.length === 1) this.#turnPage(from, to)
    if (this.#partial.length <= 2 * count) this.#partial = new Int32Array(2 * count + 1)
    // Advance before sending, so that a row is never sent to twice.
    this.#at = to
    const whole = addon?.sendToEach(this.#fds, from, to, this.#chunk, this.#partial) ?? 0
    const short = this.#partial[0] as number
    outcome.sent += whole
    counters.events += whole + short
    if (short > 0) this.#takeOut(short, outcome)
  }

  /** @internal */
  settle(row: number): void {
    const first = this.#firsts[row] as number
    const waits = this.#waits(row)
    const page = waits && this.#page.length === 1 ? this.#previousPage : this.#page
    const next = waits && page === this.#page ? page.length - 1 : page.length
    if (next <= first) return
    this.#firsts[row] = next
    this.#seats[row]?.member.credit(page, first, next)
  }

  /** @internal */
  leave(row: number): void {
    const seat = this.#seats[row] as CohortSeat<R>
    const { member } = seat
    // Clear the row first, because the member's code may call back.
    this.#fds[row] = NO_ROW
    seat.row = NO_ROW
    if (member.fast !== undefined) member.fast.seat = undefined
    this.settle(row)
    this.#seats[row] = undefined
    this.#holes.push(row)
    member.onLeave(this.#waits(row))
  }

  /** Whether the current broadcast has not reached a member yet. */
  isStillFor({ fast }: R): boolean {
    return fast?.seat instanceof CohortSeat && this.#waits(fast.seat.row)
  }

  #waits(row: number): boolean {
    return row >= this.#at && row < this.#end
  }

  /** Credits the members of these rows with the previous page, so that no member is more than a page behind. */
  #turnPage(from: number, to: number): void {
    for (let row = from; row < to; row++) {
      if (this.#seats[row] === undefined) continue
      this.settle(row)
      this.#firsts[row] = 0
    }
  }

  /** Removes members whose kernel did not accept everything. Their streams continue with the rest. */
  #takeOut(count: number, outcome: Outcome): void {
    for (let i = 0; i < count; i++) {
      const row = this.#partial[2 * i + 1] as number
      const result = this.#partial[2 * i + 2] as number
      const { fast } = (this.#seats[row] as CohortSeat<R>).member
      const rest = this.#chunk.subarray(Math.max(0, result))
      fast?.holdBack(rest.length)
      this.leave(row)
      outcome[fast?.takeRest(rest, Math.min(0, result)) ? 'queued' : 'closed'] += 1
    }
  }

  #fillHoles(): void {
    const seats = this.#seats
    for (const hole of this.#holes) {
      while (seats.length > 0 && seats.at(-1) === undefined) seats.pop()
      const last = seats.length - 1
      if (hole > last) continue
      const seat = seats.pop() as CohortSeat<R>
      seats[hole] = seat
      seat.row = hole
      this.#fds[hole] = this.#fds[last] as number
      this.#firsts[hole] = this.#firsts[last] as number
    }
    this.#holes = []
  }
}
