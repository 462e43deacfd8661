// The write loop: events go to the outlet while it has room, and wait in the queue while it has not.
import { systemClock } from '../internal/clock.js'
import { counters } from '../internal/counters.js'
import { Deferred } from '../internal/deferred.js'
import { Poll } from '../internal/poll.js'
import { type EncodedEvent, type EventInput, encodeText, idOf } from '../sse/encode.js'
import type { Lane, Segment } from '../transport/fast/lane.js'
import type { Outlet } from '../transport/transport.js'
import type { Account } from './close-info.js'
import { Delivery } from './delivery.js'
import type { DeliveryOutcome, Ticket } from './delivery-log.js'
import type { StreamSettings } from './options.js'
import { type Admission, type Dropped, EventQueue } from './queue.js'
import type { SendResult } from './states.js'

/** Whose sender it is. */
export interface SenderOwner {
  /** Everything has been acknowledged, and the outlet is about to be ended. */
  beforeEnd(): void
  /** The outlet threw where no caller of the application's hears of it: its `write` or `end` may be wrapped. */
  onFailed(error: unknown): void
  /** The overflow policy has dropped something, the event that came or others for it. */
  onDropped(events: number, bytes: number): void
}

/** Somebody who must know when a stream takes no more events. */
export interface EndListener {
  /** Called once, in that tick. */
  onEnd(): void
}

/** Events that are sent again. */
interface Replay {
  readonly events: Iterator<EncodedEvent>
  /** How many events the queue had taken when it came: those go first. */
  readonly after: number
  next: Replay | undefined
}

/** Sends one stream's events and follows them to the client's kernel. */
export class Sender {
  readonly outlet: Outlet
  readonly settings: StreamSettings
  readonly #owner: SenderOwner
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

  constructor(outlet: Outlet, settings: StreamSettings, owner: SenderOwner, now: number) {
    this.#owner = owner
    this.outlet = outlet
    this.settings = settings
    this.#trafficAt = now
  }

  /** Whether an event would be written at once. */
  get hasRoom(): boolean {
    return this.outlet.writable && !this.#isBehind() && !this.#ending
  }

  /** Bytes of events and comments handed to the outlet. */
  get bytesSent(): number {
    return this.#bytesSent + (this.lane?.laneBytes ?? 0)
  }

  /** The time of the last call before which something had been written; whole ms on the monitor's clock, rounded down. */
  lastTraffic(now: number): number {
    const bytes = this.bytesSent
    if (bytes !== this.#trafficBytes) {
      this.#trafficAt = Math.floor(now)
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
    delivery.look()
    const { delivered } = delivery
    return { bytesSent, dropped, delivered, undelivered: delivery.undelivered(this.#queue) }
  }

  /** The short way for broadcasts, where there is one. */
  get lane(): Lane | undefined {
    return this.outlet.lane
  }

  /** Made when it is first needed: most streams of a quiet server have sent no event yet. */
  get delivery(): Delivery {
    this.#delivery ??= new Delivery(this.outlet)
    return this.#delivery
  }

  /** Whether events are on their way, so that a look could bring news. */
  get inFlight(): boolean {
    return (
      (this.#delivery !== undefined || this.outlet.lane?.segment !== undefined) &&
      this.delivery.inFlight
    )
  }

  get queue(): EventQueue | undefined {
    return this.#queue
  }

  /** Writes the event or lets it wait; `overflow` leaves it out. Only while the outlet is writable. */
  deliver(event: EncodedEvent, ticket?: Ticket): Exclude<SendResult, 'closed'> | 'overflow' {
    if (this.#isBehind()) return this.#enqueue(event, ticket)
    this.#writeEvent(event, ticket)
    return this.#blocked ? 'queued' : 'sent'
  }

  #enqueue(event: EncodedEvent, ticket: Ticket | undefined): Admission {
    this.#queue ??= new EventQueue(this.settings.limits)
    const { droppedEvents, droppedBytes } = this.#queue
    const admission = this.#queue.push(event, ticket)
    const events = this.#queue.droppedEvents - droppedEvents
    if (events > 0) this.#owner.onDropped(events, this.#queue.droppedBytes - droppedBytes)
    return admission
  }

  /** The same for an event that is still text: that is enough, where it can go at once. */
  deliverText(
    text: string,
    event: EventInput,
    ticket?: Ticket,
  ): Exclude<SendResult, 'closed'> | 'overflow' {
    const bytes = this.#isBehind() ? -1 : this.outlet.writeText(text)
    if (bytes < 0) return this.deliver(encodeText(text, event), ticket)
    this.#bytesSent += bytes
    this.#record(idOf(event.id), ticket)
    return this.#blocked ? 'queued' : 'sent'
  }

  /** Sends these after what waits now and before whatever comes from now on, at the client's pace. */
  replay(events: Iterable<EncodedEvent>): void {
    const replay = {
      events: events[Symbol.iterator](),
      after: this.#queue?.taken ?? 0,
      next: undefined,
    }
    // A stream of several channels, or one that is subscribed again, may have another under way.
    let last = this.#replay
    while (last?.next !== undefined) last = last.next
    if (last === undefined) this.#replay = replay
    else last.next = replay
    this.#pump()
  }

  /** What was sent last was a channel's broadcast, the one at `index`. */
  follow(segment: Segment, index: number): void {
    this.delivery.follow(segment, index)
  }

  /** Has what went the short way counted. */
  readUp(): void {
    if (this.lane?.segment !== undefined) this.delivery.readUp()
  }

  /** Broadcasts have to come through here again. */
  breakRun(): void {
    const { lane } = this
    if (lane?.segment === undefined) return
    this.delivery.readUp()
    lane.segment = undefined
  }

  /** Whether an event has to wait for others. */
  #isBehind(): boolean {
    return this.#blocked || this.#replay !== undefined
  }

  /** Bytes that are no event: comments. Only while there is room. */
  write(bytes: Buffer): void {
    this.#bytesSent += bytes.length
    this.#blocked = !this.outlet.write(bytes)
    if (this.#blocked) this.breakRun()
  }

  /** Settles when there is room (`true`), or when there never will be again. */
  writable(): Promise<boolean> {
    if (this.#ending || !this.outlet.writable) return Promise.resolve(false)
    if (!this.#isBehind()) return Promise.resolve(true)
    this.#room ??= new Deferred()
    return this.#room.promise
  }

  /** The outlet has no more room, as it has found out only now. */
  block(): void {
    this.#blocked = true
    this.breakRun()
  }

  /** The outlet has room again. */
  resume(): void {
    this.#blocked = false
    try {
      this.#pump()
    } catch (error) {
      this.#owner.onFailed(error)
    }
    if (this.#ending) this.#endIfDone()
    else if (!this.#isBehind()) this.#settleRoom(this.outlet.writable)
  }

  /** Takes no more, and ends the outlet once everything has been acknowledged, or handed over where nobody can tell. */
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

  #writeEvent({ bytes, id, isComment }: EncodedEvent, ticket: Ticket | undefined): void {
    this.write(bytes)
    if (!isComment || ticket !== undefined) this.#record(id, ticket)
  }

  #record(id: string | undefined, ticket: Ticket | undefined): void {
    counters.events += 1
    this.delivery.record(id, ticket)
    if (ticket !== undefined && this.delivery.awaited) this.#startPolling()
  }

  #pump(): void {
    while (!this.#blocked && this.outlet.writable) {
      const replayed = this.#nextReplayed()
      if (replayed !== undefined) {
        this.#writeEvent(replayed, undefined)
        continue
      }
      const next = this.#queue?.shift()
      if (next === undefined) return
      this.#writeEvent(next.event, next.ticket)
    }
  }

  #nextReplayed(): EncodedEvent | undefined {
    while (this.#replay !== undefined) {
      if (this.#queue?.holdsOlderThan(this.#replay.after)) return undefined
      const step = this.#replay.events.next()
      if (!step.done) return step.value
      this.#replay = this.#replay.next
    }
    return undefined
  }

  #endIfDone(): void {
    if (this.#onPoll()) this.#startPolling()
  }

  /** News of what somebody waits for, the end among them. Returns whether to ask again. */
  #onPoll(): boolean {
    this.delivery.look()
    if (this.#ending && !this.#replay && !this.#queue?.length && this.outlet.writable) {
      const drained = this.outlet.isDrained()
      if (drained === false) return true
      if (drained) this.#owner.beforeEnd()
      try {
        this.outlet.end()
      } catch (error) {
        this.#owner.onFailed(error)
        return false
      }
    }
    return this.delivery.awaited
  }

  #tellEnd(): void {
    this.#ending = true
    this.breakRun()
    this.#settleRoom(false)
    const listeners = this.endListeners
    this.#endListeners = undefined
    for (const listener of listeners) listener.onEnd()
  }

  #startPolling(): void {
    const { urgentPace } = this.settings.plan
    this.#poll ??= new Poll(systemClock, urgentPace, () => this.#onPoll())
    this.#poll.start()
  }

  #settleRoom(room: boolean): void {
    this.#room?.resolve(room)
    this.#room = undefined
  }
}
