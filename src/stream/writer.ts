// The one write path. An event comes here from the stream, encoded or as text. While the client keeps up it goes to the transport
// at once: over plain HTTP/1 into the batch of this tick (transport/fast/batch.ts), which is one system call a client at the
// tick's end; over anything else into Node's own streams. While the client does not keep up it waits in the queue, until the
// transport has room again. Broadcasts to clients that keep up do not come here at all: a cohort sends them
// (transport/fast/cohort.ts), and the writer is told afterwards (`credit`).
import type { Clock } from '../internal/clock.js'
import { counters } from '../internal/counters.js'
import { Deferred } from '../internal/deferred.js'
import { Poll } from '../internal/poll.js'
import { type EncodedEvent, type EventInput, encodeText, idOf } from '../sse/encode.js'
import type { BroadcastPage } from '../transport/fast/broadcast-page.js'
import type { Transport, TransportListener } from '../transport/transport.js'
import type { Account } from './close-info.js'
import { Delivery } from './delivery.js'
import type { Confirmation, DeliveryOutcome } from './delivery-log.js'
import type { StreamSettings } from './options.js'
import { type Dropped, EventQueue, type QueueResult } from './queue.js'
import { Replay } from './replay.js'

/** What a writer tells its stream. */
export interface WriterListener {
  /** Everything has been acknowledged, and the transport is about to be ended. */
  beforeEnd(): void
  /** The transport threw where no caller of the application's hears of it: its `write` or `end` may be wrapped. */
  onFailed(error: unknown): void
  /** The overflow policy has dropped something, the event that came or others for it. */
  onDropped(events: number, bytes: number): void
  /** Nothing can be written any more: the response has ended or its connection is gone. */
  onClose(): void
}

/** What must know when a stream takes no more events. */
export interface EndListener {
  /** Called once, in that tick. */
  onEnd(): void
}

/** Sends one stream's events and follows them to the client's kernel. */
export class Writer implements TransportListener {
  readonly transport: Transport
  readonly settings: StreamSettings
  readonly #listener: WriterListener
  readonly #clock: Clock
  #poll: Poll | undefined = undefined
  #delivery: Delivery | undefined = undefined
  #queue: EventQueue | undefined = undefined
  #room: Deferred<boolean> | undefined = undefined
  /** Events that are not the queue's, the first of several lists. */
  #replay: Replay | undefined = undefined
  #blocked = false
  #ending = false
  /** One or several: most streams have one, their channel's. */
  #endListeners: EndListener | EndListener[] | undefined = undefined
  #bytesSent = 0
  /** When something had last been written, and how much at all, as seen by `lastTraffic`. */
  #trafficAt: number
  #trafficBytes = 0

  constructor(
    transport: Transport,
    settings: StreamSettings,
    listener: WriterListener,
    clock: Clock,
  ) {
    this.#listener = listener
    this.transport = transport
    this.settings = settings
    this.#clock = clock
    this.#trafficAt = Math.floor(clock.now())
  }

  /** The time, by the clock of the stream. */
  now(): number {
    return this.#clock.now()
  }

  /** Whether an event would be written at once. */
  get hasRoom(): boolean {
    return this.transport.writable && !this.#isBehind() && !this.#ending
  }

  /** Bytes of events and comments handed to the transport. */
  get bytesSent(): number {
    this.#settle()
    return this.#bytesSent
  }

  /**
   * When something was last written; whole ms on the monitor's clock, rounded down. Without the kernel's word it is the time of the
   * first call after that.
   *
   * @param sentAgo - milliseconds since the kernel last sent data on the connection
   */
  lastTraffic(now: number, sentAgo = 0): number {
    const bytes = this.bytesSent
    if (bytes !== this.#trafficBytes) {
      this.#trafficAt = Math.max(this.#trafficAt, Math.floor(now - (sentAgo || 0)))
      this.#trafficBytes = bytes
    }
    return this.#trafficAt
  }

  /** Bytes of the events that wait here. */
  get pending(): number {
    return this.#queue?.bytes ?? 0
  }

  get dropped(): Dropped {
    const { droppedEvents = 0, droppedBytes = 0 } = this.#queue ?? {}
    return { events: droppedEvents, bytes: droppedBytes }
  }

  /** What became of what was sent, by a last look. */
  account(): Account {
    const { delivery, bytesSent, dropped } = this
    delivery.update()
    const { delivered } = delivery
    return { bytesSent, dropped, delivered, undelivered: delivery.undelivered(this.#queue) }
  }

  /** Made when it is first needed: most streams of a quiet server have sent no event yet. */
  get delivery(): Delivery {
    this.#settle()
    this.#delivery ??= new Delivery(this.transport)
    return this.#delivery
  }

  /** Whether events are on their way, so that a look could bring news. */
  get inFlight(): boolean {
    this.#settle()
    return this.#delivery?.inFlight === true
  }

  /** Has what a cohort has sent accounted for. */
  #settle(): void {
    this.transport.fast?.seat?.settle()
  }

  /** A cohort has sent these broadcasts of the page. */
  credit(page: BroadcastPage, first: number, next: number): void {
    this.transport.fast?.credit(page.end(next) - page.end(first))
    this.#bytesSent += page.bodyEnd(next) - page.bodyEnd(first)
    this.#delivery ??= new Delivery(this.transport)
    this.#delivery.recordRange(page, first, next)
  }

  get queue(): EventQueue | undefined {
    return this.#queue
  }

  /** Writes the event or lets it wait; `overflow` leaves it out. Only while the transport is writable. */
  deliver(event: EncodedEvent, confirmation?: Confirmation): 'sent' | QueueResult {
    if (this.#isBehind()) return this.#enqueue(event, confirmation)
    this.#writeEvent(event, confirmation)
    return this.#blocked ? 'queued' : 'sent'
  }

  #enqueue(event: EncodedEvent, confirmation: Confirmation | undefined): QueueResult {
    this.#queue ??= new EventQueue(this.settings.limits)
    const { droppedEvents, droppedBytes } = this.#queue
    const admission = this.#queue.push(event, confirmation)
    const events = this.#queue.droppedEvents - droppedEvents
    if (events > 0) this.#listener.onDropped(events, this.#queue.droppedBytes - droppedBytes)
    return admission
  }

  /** The same for an event that is still text: that is enough, where it can go directly. */
  deliverText(text: string, event: EventInput, confirmation?: Confirmation): 'sent' | QueueResult {
    const { fast } = this.transport
    if (fast === undefined || this.#isBehind()) {
      return this.deliver(encodeText(text, event), confirmation)
    }
    const bytes = fast.writeText(text)
    this.#bytesSent += Math.abs(bytes)
    this.#blocked = bytes < 0
    this.#record(idOf(event.id), confirmation)
    return this.#blocked ? 'queued' : 'sent'
  }

  /** Sends these after what waits now and before whatever comes from now on, at the client's pace. */
  replay(events: Iterable<EncodedEvent>): void {
    const replay = new Replay(events, this.#queue?.taken ?? 0)
    if (this.#replay === undefined) this.#replay = replay
    else this.#replay.add(replay)
    this.#pump()
  }

  /** Whether an event has to wait for others. */
  #isBehind(): boolean {
    return this.#blocked || this.#replay !== undefined
  }

  /** Bytes that are no event: comments. Only while there is room. */
  write(bytes: Buffer): void {
    this.#bytesSent += bytes.length
    this.#blocked = !this.transport.write(bytes)
  }

  /** Settles when there is room (`true`), or when there never will be again. */
  writable(): Promise<boolean> {
    if (this.#ending || !this.transport.writable) return Promise.resolve(false)
    if (!this.#isBehind()) return Promise.resolve(true)
    this.#room ??= new Deferred()
    return this.#room.promise
  }

  onBlocked(): void {
    this.#blocked = true
  }

  onPeerEnd(): void {
    this.delivery.update()
  }

  onClose(): void {
    this.#listener.onClose()
  }

  onDrain(): void {
    this.#blocked = false
    try {
      this.#pump()
    } catch (error) {
      this.#listener.onFailed(error)
    }
    if (this.#ending) this.#endIfDone()
    else if (!this.#isBehind()) this.#settleRoom(this.transport.writable)
  }

  /** Takes no more, and ends the transport once everything has been acknowledged, or handed over where nobody can tell. */
  end(): void {
    this.#tellEnd()
    this.#endIfDone()
  }

  /** A promise for the latest event with this id. */
  outcomeOf(id: string): Promise<DeliveryOutcome> {
    const outcome = this.delivery.of(id, this.#queue)
    if (this.delivery.awaited) this.#startPolling()
    return outcome
  }

  /** Nothing of it runs on; whoever waits is told. */
  stop(): void {
    this.#poll?.stop()
    this.#delivery?.end(this.#queue)
    this.#queue = undefined
    this.#replay = undefined
    this.#tellEnd()
  }

  /** Tells the listener once, in the tick in which no more events are taken. */
  onEnd(listener: EndListener): void {
    const others = this.#endListeners
    if (others === undefined) this.#endListeners = listener
    else this.#endListeners = Array.isArray(others) ? [...others, listener] : [others, listener]
  }

  /** Takes that back. */
  offEnd(listener: EndListener): void {
    const all = this.endListeners.filter((each) => each !== listener)
    this.#endListeners = all.length > 1 ? all : all[0]
  }

  /** Those that are still to be told. */
  get endListeners(): readonly EndListener[] {
    const all = this.#endListeners
    if (all === undefined) return []
    return Array.isArray(all) ? all : [all]
  }

  #writeEvent(
    { bytes, id, isComment }: EncodedEvent,
    confirmation: Confirmation | undefined,
  ): void {
    this.write(bytes)
    if (!isComment || confirmation !== undefined) this.#record(id, confirmation)
  }

  #record(id: string | undefined, confirmation: Confirmation | undefined): void {
    counters.events += 1
    this.delivery.record(id, confirmation)
    if (confirmation !== undefined && this.#delivery?.awaited) this.#startPolling()
  }

  #pump(): void {
    while (!this.#blocked && this.transport.writable) {
      const replayed = this.#nextReplayed()
      if (replayed !== undefined) {
        this.#writeEvent(replayed, undefined)
        continue
      }
      const next = this.#queue?.shift()
      if (next === undefined) return
      this.#writeEvent(next.event, next.confirmation)
    }
  }

  #nextReplayed(): EncodedEvent | undefined {
    const next = this.#replay?.next((after) => !this.#queue?.holdsOlderThan(after))
    if (next !== 'over') return next
    this.#replay = undefined
    return undefined
  }

  #endIfDone(): void {
    if (this.#onPoll()) this.#startPolling()
  }

  /** News of what somebody waits for, the end among them. Returns whether to ask again. */
  #onPoll(): boolean {
    this.delivery.update()
    if (this.#ending && !this.#replay && !this.#queue?.length && this.transport.writable) {
      const { ledger, buffered } = this.transport
      const drained = ledger === undefined ? buffered === 0 && undefined : ledger.isAcknowledged()
      if (drained === false) return true
      if (drained) this.#listener.beforeEnd()
      try {
        this.transport.end()
      } catch (error) {
        this.#listener.onFailed(error)
        return false
      }
    }
    return this.delivery.awaited
  }

  #tellEnd(): void {
    this.#ending = true
    this.transport.fast?.seat?.leave()
    this.#settleRoom(false)
    const listeners = this.endListeners
    this.#endListeners = undefined
    for (const listener of listeners) listener.onEnd()
  }

  #startPolling(): void {
    const { urgentPace } = this.settings.plan
    this.#poll ??= new Poll(this.#clock, urgentPace, () => this.#onPoll())
    this.#poll.start()
  }

  #settleRoom(room: boolean): void {
    this.#room?.resolve(room)
    this.#room = undefined
  }
}
