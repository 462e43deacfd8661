// The single write path. The stream passes events to it, encoded or as text. While the client keeps up, an event goes
// to the transport at once. Over plain HTTP/1 it goes into the batch of this tick (transport/fast/batch.ts), which
// makes one system call per client at the end of the tick; otherwise into Node's streams. While the client is behind,
// events wait in the queue. Broadcasts to clients that keep up do not pass through here: a cohort sends them
// (transport/fast/cohort.ts) and informs the writer afterwards (`credit`).
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

/** Gets the events of a writer. */
export interface WriterListener {
  /** Everything has been acknowledged, and the transport is about to end. */
  beforeEnd(): void
  /** The transport threw where no caller in the application gets the error; its `write` or `end` may be wrapped. */
  onFailed(error: unknown): void
  /** The overflow policy has dropped the new event, or others for it. */
  onDropped(events: number, bytes: number): void
  /** Nothing more can be written: the response has ended or its connection is gone. */
  onClose(): void
}

/** An object that is notified when a stream accepts no more events. */
export interface EndListener {
  /** Called once, in the same tick. */
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
  /** Replayed events, which are not in the queue. */
  #replay: Replay | undefined = undefined
  #blocked = false
  #ending = false
  /** One listener or several: most streams have one, their channel's. */
  #endListeners: EndListener | EndListener[] | undefined = undefined
  #bytesSent = 0
  /** The time of the last write and the bytes written until then, as seen by `lastTraffic`. */
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

  /** The current time on the stream's clock. */
  now(): number {
    return this.#clock.now()
  }

  /** Whether an event would be written at once. */
  get hasRoom(): boolean {
    return this.transport.writable && !this.#isBehind() && !this.#ending
  }

  /** Bytes of events and comments passed to the transport. */
  get bytesSent(): number {
    this.#settle()
    return this.#bytesSent
  }

  /**
   * The time of the last write, in whole ms on the monitor's clock, rounded down. Without the kernel's data, it is the
   * time of the first call after the write.
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

  /** Bytes of the events in the queue. */
  get pending(): number {
    return this.#queue?.bytes ?? 0
  }

  get dropped(): Dropped {
    const { droppedEvents = 0, droppedBytes = 0 } = this.#queue ?? {}
    return { events: droppedEvents, bytes: droppedBytes }
  }

  /** What was sent, dropped and delivered, from a last sample. */
  account(): Account {
    const { delivery, bytesSent, dropped } = this
    delivery.update()
    const { delivered } = delivery
    return { bytesSent, dropped, delivered, undelivered: delivery.undelivered(this.#queue) }
  }

  /** Created on demand: most streams of a quiet server have sent no event yet. */
  get delivery(): Delivery {
    this.#settle()
    this.#delivery ??= new Delivery(this.transport)
    return this.#delivery
  }

  /** Whether events are in flight, so that a sample could show a change. */
  get inFlight(): boolean {
    this.#settle()
    return this.#delivery?.inFlight === true
  }

  /** Accounts for what a cohort has sent. */
  #settle(): void {
    this.transport.fast?.seat?.settle()
  }

  /** Accounts for broadcasts of the page that a cohort has sent. */
  credit(page: BroadcastPage, first: number, next: number): void {
    this.transport.fast?.credit(page.end(next) - page.end(first))
    this.#bytesSent += page.bodyEnd(next) - page.bodyEnd(first)
    this.#delivery ??= new Delivery(this.transport)
    this.#delivery.recordRange(page, first, next)
  }

  get queue(): EventQueue | undefined {
    return this.#queue
  }

  /** Writes an event or queues it; `overflow`: it was not added. Call this only while the transport is writable. */
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

  /** Does the same for the text of an event, which is encoded only if it cannot take the direct path. */
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

  /** Sends these events after what waits now and before later events, at the client's pace. */
  replay(events: Iterable<EncodedEvent>): void {
    const replay = new Replay(events, this.#queue?.taken ?? 0)
    if (this.#replay === undefined) this.#replay = replay
    else this.#replay.add(replay)
    this.#pump()
  }

  /** Whether an event would have to wait for others. */
  #isBehind(): boolean {
    return this.#blocked || this.#replay !== undefined
  }

  /** Writes bytes that are not an event: comments. Call this only while `hasRoom`. */
  write(bytes: Buffer): void {
    this.#bytesSent += bytes.length
    this.#blocked = !this.transport.write(bytes)
  }

  /** Resolves with `true` when an event would be written at once, or with `false` when none ever will be. */
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

  /** Accepts no more events. Ends the transport once everything is acknowledged, or passed on if that is unknown. */
  end(): void {
    this.#tellEnd()
    this.#endIfDone()
  }

  /** Returns a promise of the outcome of the latest event with this id. */
  outcomeOf(id: string): Promise<DeliveryOutcome> {
    const outcome = this.delivery.of(id, this.#queue)
    if (this.delivery.awaited) this.#startPolling()
    return outcome
  }

  /** Stops the writer and settles everything that waits for it. */
  stop(): void {
    this.#poll?.stop()
    this.#delivery?.end(this.#queue)
    this.#queue = undefined
    this.#replay = undefined
    this.#tellEnd()
  }

  /** Calls the listener once, in the tick in which the writer stops accepting events. */
  onEnd(listener: EndListener): void {
    const others = this.#endListeners
    if (others === undefined) this.#endListeners = listener
    else this.#endListeners = Array.isArray(others) ? [...others, listener] : [others, listener]
  }

  /** Removes a listener. */
  offEnd(listener: EndListener): void {
    const all = this.endListeners.filter((each) => each !== listener)
    this.#endListeners = all.length > 1 ? all : all[0]
  }

  /** The listeners that have not been called yet. */
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

  /** Checks for acknowledgements that are waited for, including those before the end. Returns whether to ask again. */
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
