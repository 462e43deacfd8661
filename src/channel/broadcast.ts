// Delivers one event to all subscribers of a channel.

import { Deferred } from '../internal/deferred.js'
import { monotonicNow } from '../internal/scheduling.js'
import type { EncodedEvent } from '../sse/encode.js'
import type { EventStream } from '../stream/event-stream.js'
import type { LiveStream } from '../stream/live-stream.js'
import { isStream } from '../stream/live-streams.js'
import type { SendResult } from '../stream/states.js'
import { sharedBatch } from '../transport/fast/batch.js'
import { prototypesAreNodes } from '../transport/fast/hooks.js'
import type { Member, Members } from './members.js'

/** How many streams an event was sent to, by result; see `SendResult`. */
export interface BroadcastResult {
  /** Streams to which the event was written at once. */
  sent: number
  /** Streams in which the event waits for the client. */
  queued: number
  /** Streams that left the event out, because of their overflow policy. */
  dropped: number
  /** Streams that have ended, before or because of this event. */
  closed: number
}

/** Chooses the subscribers that get an event. */
export interface BroadcastOptions {
  /** Called for each subscriber. If it returns `false`, the subscriber does not get the event. */
  filter?: ((stream: EventStream) => boolean) | undefined
  /** One or several subscribers that do not get the event. */
  except?: EventStream | Iterable<EventStream> | undefined
}

/** An event and its receivers. */
export interface Job {
  readonly event: EncodedEvent
  readonly number: number
  readonly previousId: string
  readonly members: Members
}

/** After this many streams, the clock is read. */
const SENDS_PER_CLOCK_READ = 96

/** Sends one event, slice by slice: first to each member outside the cohort, then to the cohort. */
export class Broadcast {
  readonly result: BroadcastResult = { sent: 0, queued: 0, dropped: 0, closed: 0 }
  /** The id of the channel's last event with an id before this one; `''` if there was none. */
  readonly previousId: string
  readonly #done = new Deferred<BroadcastResult>()
  readonly #event: EncodedEvent
  readonly #number: number
  readonly #members: Members
  /**
   * Whether the cohort can send the event. The cohort calls no filters, and treats all that it
   * carries as events.
   */
  #isForCohort: boolean
  #state: 'waiting' | 'joining' | 'sending' = 'waiting'
  /** The members that are sent the event one by one, and how many of them have been. */
  #list: readonly Member[] = []
  #at = 0
  /** Members that left the cohort before it sent them the event. */
  readonly #missed: Member[] = []
  readonly #filter: BroadcastOptions['filter']
  readonly #except: ReadonlySet<EventStream> | undefined
  #failed: { error: unknown } | undefined

  constructor({ event, number, previousId, members }: Job, { filter, except }: BroadcastOptions) {
    this.#event = event
    this.#number = number
    this.previousId = previousId
    this.#members = members
    this.#filter = filter
    this.#except = except === undefined ? undefined : new Set(asList(except))
    this.#isForCohort = filter === undefined && !event.isComment
  }

  /**
   * Settles once the last slice has been sent. Rejects with the error that the broadcast's own
   * filter has thrown.
   */
  get done(): Promise<BroadcastResult> {
    return this.#done.promise
  }

  /**
   * Whether a member that the event is for has not been sent it yet. Called only while slices are
   * left, because it passes over all members.
   */
  isBefore(member: Member): boolean {
    if (member.joinedAfter >= this.#number) return false
    if (this.#state === 'waiting' || this.#missed.includes(member)) return true
    if (this.#list.indexOf(member, this.#at) >= 0) return true
    if (!this.#isForCohort || !member.isInside) return false
    return this.#state === 'joining' || this.#members.cohort.isStillFor(member)
  }

  /** Works until all is sent (`true`) or the time is up. */
  run(until: number): boolean {
    if (this.#state === 'waiting') this.#start()
    let before = monotonicNow()
    while (!this.#isDone()) {
      try {
        this.#sendToSome()
        // The bytes are sent here. That is most of the work, so it must be done before the clock is
        // read.
        sharedBatch.flush()
      } catch (error) {
        // No known code throws here. The other members still get the event, and only once.
        this.#failed ??= { error }
      }
      const now = monotonicNow()
      // The next part takes about as long as this one did, and must fit into the budget, too.
      if (now + (now - before) >= until && !this.#isDone()) return false
      before = now
    }
    return this.#finish()
  }

  #start(): void {
    this.#state = 'joining'
    const members = this.#members
    if (!prototypesAreNodes()) this.#isForCohort = false
    if (!this.#isForCohort) {
      this.#list = members.all()
      return
    }
    for (const stream of this.#except ?? []) {
      const member = isStream(stream) ? members.find(stream) : undefined
      if (member?.isInside) member.fast?.seat?.leave()
    }
    this.#list = members.outside()
    members.onLeft = (member, missed) => {
      if (missed || this.#state === 'joining') this.#missed.push(member)
    }
  }

  #isDone(): boolean {
    const listIsDone = this.#at >= this.#list.length && this.#missed.length === 0
    if (!listIsDone || !this.#isForCohort) return listIsDone
    return this.#state === 'sending' && !this.#members.cohort.isSending
  }

  #sendToSome(): void {
    const { cohort } = this.#members
    if (this.#at < this.#list.length) this.#goOverList()
    else if (this.#missed.length > 0) this.#sendToMissed()
    else if (this.#state === 'joining') {
      this.#state = 'sending'
      cohort.begin(this.#event)
    } else cohort.sendSlice(SENDS_PER_CLOCK_READ, this.result)
  }

  #goOverList(): void {
    const end = Math.min(this.#list.length, this.#at + SENDS_PER_CLOCK_READ)
    const pass = (): void => {
      this.#at += 1
    }
    while (this.#at < end) this.#sendTo(this.#list[this.#at] as Member, pass)
  }

  #sendToMissed(): void {
    const end = Math.max(0, this.#missed.length - SENDS_PER_CLOCK_READ)
    const pass = (): void => {
      this.#missed.shift()
    }
    while (this.#missed.length > end) this.#sendTo(this.#missed[0] as Member, pass)
  }

  #finish(): true {
    this.#members.onLeft = undefined
    if (this.#failed === undefined) this.#done.resolve(this.result)
    else this.#done.reject(this.#failed.error)
    return true
  }

  /**
   * @param pass - removes the member from those that have not been sent the event. The member's
   * filters are called before that, and all other code after it: that code may unsubscribe any
   * member, and `isBefore` must be exact for each
   */
  #sendTo(member: Member, pass: () => void): void {
    let isFor = false
    try {
      isFor = this.#isForMember(member)
    } finally {
      pass()
    }
    if (!isFor) return
    if (this.#mayJoin(member) && this.#members.join(member)) return
    this.result[this.#deliver(member.stream)] += 1
  }

  #isForMember(member: Member): boolean {
    if (member.left || member.joinedAfter >= this.#number) return false
    if (this.#except?.has(member.stream)) return false
    if (member.filter !== undefined && !this.#passes(member.stream, member.filter)) return false
    if (this.#filter !== undefined && !this.#isFor(member.stream, this.#filter)) return false
    // A filter may have unsubscribed it.
    return !member.left
  }

  /** Whether a member has been sent all earlier events and can get this one from the cohort. */
  #mayJoin(member: Member): boolean {
    return this.#isForCohort && this.#state === 'joining' && member.filter === undefined
  }

  /**
   * An application may have wrapped the response's `write`. If the wrapper throws, only this stream
   * ends.
   */
  #deliver(stream: LiveStream): SendResult {
    try {
      return stream.sendEncoded(this.#event)
    } catch (error) {
      stream.fail(error)
      return 'closed'
    }
  }

  /** A filter of a subscriber that throws has a bug, which must not affect other subscribers. */
  #passes(stream: LiveStream, filter: (event: EncodedEvent) => boolean): boolean {
    try {
      return filter(this.#event)
    } catch (error) {
      stream.fail(error)
      return false
    }
  }

  #isFor(stream: EventStream, filter: (stream: EventStream) => boolean): boolean {
    try {
      return filter(stream)
    } catch (error) {
      this.#failed ??= { error }
      return false
    }
  }
}

function asList(except: EventStream | Iterable<EventStream>): Iterable<EventStream> {
  return Symbol.iterator in except ? except : [except]
}
