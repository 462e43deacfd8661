// Connects the offsets of a stream's transport with acknowledgements, to find the outcome of events.
import { acknowledgedOffset } from '../tcp/info.js'
import type { BroadcastPage } from '../transport/fast/broadcast-page.js'
import type { Transport } from '../transport/transport.js'
import {
  type Confirmation,
  type Delivered,
  DeliveryLog,
  type DeliveryOutcome,
  TRACKED_EVENTS,
  type Undelivered,
} from './delivery-log.js'
import type { EventQueue } from './queue.js'

/** Follows one stream's events to the peer's kernel. */
export class Delivery {
  readonly #transport: Transport
  /** Created with the first event: most streams of a quiet server have none in flight. */
  #log: DeliveryLog | undefined
  /** Whether the log has all events. Once the end of an event is unknown, no more are recorded. */
  #known = true
  #acknowledged = Number.NEGATIVE_INFINITY
  /** The ids of events that never left the stream's queue, after it has ended. */
  #unsent: ReadonlySet<string | undefined> | undefined

  constructor(transport: Transport) {
    this.#transport = transport
    transport.ledger?.watchPeerEnd()
  }

  /** Whether a confirmation waits for an acknowledgement that a sample could show. */
  get awaited(): boolean {
    return this.#known && this.#log?.awaited === true
  }

  /** Whether events are in flight, so that a sample could show a change. */
  get inFlight(): boolean {
    const log = this.#log
    return this.#known && log !== undefined && log.delivered < log.recorded
  }

  /** Records an event that was written to the transport. */
  record(id: string | undefined, confirmation: Confirmation | undefined): void {
    const end = this.#positionToRecordAt()
    if (end === undefined) {
      confirmation?.resolve('unknown')
      return
    }
    this.#logToRecordIn().record(id, end, confirmation)
    this.#log?.acknowledge(this.#acknowledged)
  }

  /** Records broadcasts of a page that a cohort has sent with nothing between or after them. */
  recordRange(page: BroadcastPage, first: number, next: number): void {
    const end = this.#positionToRecordAt()
    if (end === undefined) return
    this.#logToRecordIn().recordRange(page, first, next, end - page.end(next))
    this.#log?.acknowledge(this.#acknowledged)
  }

  #positionToRecordAt(): number | undefined {
    const position = this.#transport.ledger?.position
    if (position === undefined) this.#forget()
    // The update may find that the position is wrong.
    else if (this.#log?.full) this.update()
    return this.#known ? position : undefined
  }

  /**
   * Returns the log. A recorded event may have been sent earlier, and a sample may already have shown its
   * acknowledgement, which no later sample repeats. The callers therefore apply the last acknowledged offset again.
   */
  #logToRecordIn(): DeliveryLog {
    this.#log ??= new DeliveryLog()
    return this.#log
  }

  /** Samples the socket. An acknowledgement is never taken back. */
  update(): void {
    const { socket } = this.#transport
    if (!this.#known || socket === undefined) return
    const offset = acknowledgedOffset(socket)
    if (offset !== undefined) this.acknowledge(offset)
  }

  /** Applies an offset up to which the peer's kernel has acknowledged the connection's bytes, from a current sample. */
  acknowledge(offset: number): void {
    this.#check()
    if (!this.#known || !(offset > this.#acknowledged)) return
    this.#acknowledged = offset
    this.#log?.acknowledge(offset)
  }

  /** Returns a promise of the outcome of the latest event with this id, queued or sent. */
  of(id: string, queue: EventQueue | undefined): Promise<DeliveryOutcome> {
    if (this.#unsent?.has(id)) return Promise.resolve('undelivered')
    const confirmation =
      queue?.confirmationOf(id) ?? (this.#known ? this.#log?.find(id) : undefined)
    return (
      confirmation?.promise ??
      Promise.resolve(this.#known && this.#log?.lastId === id ? 'delivered' : 'unknown')
    )
  }

  /** What was acknowledged; `undefined` if unknown. */
  get delivered(): Delivered | undefined {
    this.#check()
    const { start, position } = this.#transport.ledger ?? {}
    if (!this.#known || start === undefined || position === undefined) return undefined
    const bytes = Math.max(0, Math.min(this.#acknowledged, position) - start)
    return { id: this.#log?.lastId, events: this.#log?.delivered ?? 0, bytes }
  }

  /** What was sent or queued, but not acknowledged; `undefined` if unknown. */
  undelivered(queue: EventQueue | undefined): Undelivered | undefined {
    if (!this.#known || this.#transport.ledger?.start === undefined) return undefined
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

  /** Settles all pending confirmations at the end of the stream. */
  end(queue: EventQueue | undefined): void {
    this.#log?.settleAll(this.#known ? 'undelivered' : 'unknown')
    queue?.settleConfirmations('undelivered')
    if (queue?.length) this.#unsent = new Set(Array.from(queue.events(), (event) => event.id))
  }

  /** If bytes were written past the transport or changed on their way, its offsets are meaningless. */
  #check(): void {
    const { ledger } = this.#transport
    ledger?.check()
    if (ledger?.position === undefined) this.#forget()
  }

  #forget(): void {
    if (!this.#known) return
    this.#known = false
    this.#log?.settleAll('unknown')
  }
}
