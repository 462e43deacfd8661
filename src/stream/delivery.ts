// What is known of the way of this stream's events: outlet's offsets on one side, acknowledgements on the other.
import { counters } from '../internal/counters.js'
import { acknowledgedOffset } from '../tcp/info.js'
import { follow, type Segment } from '../transport/fast/lane.js'
import type { Outlet } from '../transport/transport.js'
import {
  type Delivered,
  DeliveryLog,
  type DeliveryOutcome,
  type Ticket,
  TRACKED_EVENTS,
  type Undelivered,
} from './delivery-log.js'
import type { EventQueue } from './queue.js'

/** Follows the events of one stream to the peer's kernel. */
export class Delivery {
  readonly #outlet: Outlet
  /** Made with the first event: most streams of a quiet server have none on their way. */
  #log: DeliveryLog | undefined
  /** Events that the log has not taken, because where they end is not known. */
  #known = true
  #acknowledged = Number.NEGATIVE_INFINITY
  /** The ids that never left the stream's queue, once it has ended. */
  #unsent: ReadonlySet<string | undefined> | undefined

  constructor(outlet: Outlet) {
    this.#outlet = outlet
    outlet.expectPeerEnd()
  }

  /** Whether somebody waits for an acknowledgement that a look could bring. */
  get awaited(): boolean {
    this.readUp()
    return this.#known && this.#log?.awaited === true
  }

  /** Whether events are on their way, so that a look could bring news. */
  get inFlight(): boolean {
    this.readUp()
    const log = this.#log
    return this.#known && log !== undefined && log.delivered < log.recorded
  }

  /** An event has been written to the outlet. */
  record(id: string | undefined, ticket: Ticket | undefined): void {
    this.readUp()
    const { position } = this.#outlet
    if (position === undefined) this.#forget()
    if (!this.#known || position === undefined) {
      ticket?.resolve('unknown')
      return
    }
    this.#note(id, position, ticket)
  }

  #note(id: string | undefined, end: number, ticket?: Ticket): void {
    this.#log ??= new DeliveryLog()
    const { full } = this.#log
    if (full) this.look()
    if (this.#known) this.#log.record(id, end, ticket)
    else ticket?.resolve('unknown')
    // The event may have left before it is noted, and that look have seen its acknowledgement: no later one tells again.
    if (full) this.#log.acknowledge(this.#acknowledged)
  }

  /** A broadcast was the last event recorded; those that follow it may go the short way, and are read up later. */
  follow(segment: Segment, index: number): void {
    const { lane, position } = this.#outlet
    if (this.#known && lane !== undefined && position !== undefined) {
      follow(lane, segment, index, position)
    }
  }

  /** Records what went the short way since the last time. */
  readUp(): void {
    const { lane } = this.#outlet
    if (lane === undefined || lane.first === lane.next) return
    const { segment, first, next, base } = lane
    lane.first = next
    counters.events += next - first
    if (!this.#known || segment === undefined) return
    for (let index = first; index < next; index++) {
      this.#note(segment.ids[index], base + (segment.ends[index] as number))
    }
    // A look in between may have seen the acknowledgement of those that were noted after it.
    this.#log?.acknowledge(this.#acknowledged)
  }

  /** Asks the kernel. Nothing is taken back: what has been acknowledged once stays so. */
  look(): void {
    const { socket } = this.#outlet
    if (!this.#known || socket === undefined) return
    const offset = acknowledgedOffset(socket)
    if (offset !== undefined) this.acknowledge(offset)
  }

  /** What the peer's kernel has acknowledged of the connection's bytes, by a look of this moment. */
  acknowledge(offset: number): void {
    this.readUp()
    this.#check()
    if (!this.#known || !(offset > this.#acknowledged)) return
    this.#acknowledged = offset
    this.#log?.acknowledge(offset)
  }

  /** A promise for the latest event with this id, queued or sent. */
  of(id: string, queue: EventQueue | undefined): Promise<DeliveryOutcome> {
    this.readUp()
    if (this.#unsent?.has(id)) return Promise.resolve('undelivered')
    const ticket = queue?.ticketOf(id) ?? (this.#known ? this.#log?.find(id) : undefined)
    return (
      ticket?.promise ??
      Promise.resolve(this.#known && this.#log?.lastId === id ? 'delivered' : 'unknown')
    )
  }

  /** `undefined` where it cannot be known. */
  get delivered(): Delivered | undefined {
    this.readUp()
    this.#check()
    const { start, position } = this.#outlet
    if (!this.#known || start === undefined || position === undefined) return undefined
    const bytes = Math.max(0, Math.min(this.#acknowledged, position) - start)
    return { id: this.#log?.lastId, events: this.#log?.delivered ?? 0, bytes }
  }

  /** What was sent or queued and not acknowledged; `undefined` where that cannot be known. */
  undelivered(queue: EventQueue | undefined): Undelivered | undefined {
    this.readUp()
    if (!this.#known || this.#outlet.start === undefined) return undefined
    const log = this.#log
    const ids = log?.undeliveredIds() ?? []
    let events = log === undefined ? 0 : log.recorded - log.delivered
    for (const { id, isComment } of queue?.events() ?? []) {
      if (id !== undefined) ids.push(id)
      if (!isComment) events += 1
    }
    return {
      ids: ids.slice(-TRACKED_EVENTS),
      events,
      overflowed: log?.overflowed === true || ids.length > TRACKED_EVENTS,
    }
  }

  /** The stream has ended: whoever still waits is told. */
  end(queue: EventQueue | undefined): void {
    this.readUp()
    this.#log?.settleAll(this.#known ? 'undelivered' : 'unknown')
    queue?.settleTickets('undelivered')
    if (queue?.length) this.#unsent = new Set(Array.from(queue.events(), (event) => event.id))
  }

  /** Somebody has written past the outlet, or changed what it wrote: then its offsets mean nothing. */
  #check(): void {
    this.#outlet.checkPosition()
    if (this.#outlet.position === undefined) this.#forget()
  }

  #forget(): void {
    if (!this.#known) return
    this.#known = false
    this.#log?.settleAll('unknown')
  }
}
