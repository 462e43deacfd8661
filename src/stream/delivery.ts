// What became of this stream's events: the transport's offsets on one side, acknowledgements on the other.
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

/** Follows the events of one stream to the peer's kernel. */
export class Delivery {
  readonly #transport: Transport
  /** Made with the first event: most streams of a quiet server have none on their way. */
  #log: DeliveryLog | undefined
  /** Whether the log has all events. It takes none once it is not known where they end. */
  #known = true
  #acknowledged = Number.NEGATIVE_INFINITY
  /** The ids that never left the stream's queue, once it has ended. */
  #unsent: ReadonlySet<string | undefined> | undefined

  constructor(transport: Transport) {
    this.#transport = transport
    transport.ledger?.watchPeerEnd()
  }

  /** Whether an acknowledgement is waited for that a look could bring. */
  get awaited(): boolean {
    return this.#known && this.#log?.awaited === true
  }

  /** Whether events are on their way, so that a look could bring news. */
  get inFlight(): boolean {
    const log = this.#log
    return this.#known && log !== undefined && log.delivered < log.recorded
  }

  /** An event has been written to the transport. */
  record(id: string | undefined, confirmation: Confirmation | undefined): void {
    const end = this.#positionToRecordAt()
    if (end === undefined) {
      confirmation?.resolve('unknown')
      return
    }
    this.#logToRecordIn().record(id, end, confirmation)
    this.#log?.acknowledge(this.#acknowledged)
  }

  /** A cohort has sent these broadcasts of a page, and nothing else was sent between or after them. */
  recordRange(page: BroadcastPage, first: number, next: number): void {
    const end = this.#positionToRecordAt()
    if (end === undefined) return
    this.#logToRecordIn().recordRange(page, first, next, end - page.end(next))
    this.#log?.acknowledge(this.#acknowledged)
  }

  #positionToRecordAt(): number | undefined {
    const position = this.#transport.ledger?.position
    if (position === undefined) this.#forget()
    // That look may find that the position is wrong.
    else if (this.#log?.full) this.update()
    return this.#known ? position : undefined
  }

  /** What is recorded may have left before, and a look have seen its acknowledgement: no later one reports it again. */
  #logToRecordIn(): DeliveryLog {
    this.#log ??= new DeliveryLog()
    return this.#log
  }

  /** Asks the kernel. Nothing is taken back: what has been acknowledged once stays so. */
  update(): void {
    const { socket } = this.#transport
    if (!this.#known || socket === undefined) return
    const offset = acknowledgedOffset(socket)
    if (offset !== undefined) this.acknowledge(offset)
  }

  /** What the peer's kernel has acknowledged of the connection's bytes, by a look of this moment. */
  acknowledge(offset: number): void {
    this.#check()
    if (!this.#known || !(offset > this.#acknowledged)) return
    this.#acknowledged = offset
    this.#log?.acknowledge(offset)
  }

  /** A promise for the latest event with this id, queued or sent. */
  of(id: string, queue: EventQueue | undefined): Promise<DeliveryOutcome> {
    if (this.#unsent?.has(id)) return Promise.resolve('undelivered')
    const confirmation =
      queue?.confirmationOf(id) ?? (this.#known ? this.#log?.find(id) : undefined)
    return (
      confirmation?.promise ??
      Promise.resolve(this.#known && this.#log?.lastId === id ? 'delivered' : 'unknown')
    )
  }

  /** `undefined` where it cannot be known. */
  get delivered(): Delivered | undefined {
    this.#check()
    const { start, position } = this.#transport.ledger ?? {}
    if (!this.#known || start === undefined || position === undefined) return undefined
    const bytes = Math.max(0, Math.min(this.#acknowledged, position) - start)
    return { id: this.#log?.lastId, events: this.#log?.delivered ?? 0, bytes }
  }

  /** What was sent or queued and not acknowledged; `undefined` where that cannot be known. */
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

  /** The stream has ended: everything that is still waited for is settled. */
  end(queue: EventQueue | undefined): void {
    this.#log?.settleAll(this.#known ? 'undelivered' : 'unknown')
    queue?.settleConfirmations('undelivered')
    if (queue?.length) this.#unsent = new Set(Array.from(queue.events(), (event) => event.id))
  }

  /** Bytes written past the transport, or changed on their way, make its offsets meaningless. */
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
