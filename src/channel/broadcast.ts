// One event on its way to all subscribers of a channel.

import { Deferred } from '../internal/deferred.js'
import { monotonicNow } from '../internal/scheduling.js'
import type { EncodedEvent } from '../sse/encode.js'
import type { EventStream } from '../stream/event-stream.js'
import type { LiveStream } from '../stream/live-stream.js'
import type { SendResult } from '../stream/states.js'
import { sharedBatch } from '../transport/fast/batch.js'
import { Segment } from '../transport/fast/lane.js'
import type { Member, Roll } from './members.js'
import type { Work } from './turns.js'

/** What became of a broadcast, in streams; see `SendResult`. */
export interface BroadcastResult {
  /** Written at once. */
  sent: number
  /** Waiting for their client. */
  queued: number
  /** Left out by their overflow policy. */
  dropped: number
  /** Ended, by now or because of this event. */
  closed: number
}

/** Whom a broadcast is for. */
export interface BroadcastOptions {
  /** Asked for each subscriber; `false` leaves it out. */
  filter?: ((stream: EventStream) => boolean) | undefined
  /** Subscribers to leave out: one or several. */
  except?: EventStream | Iterable<EventStream> | undefined
}

/** The events that a channel has broadcast, as its subscribers' lanes know them. */
export class BroadcastLog {
  #segment = new Segment()

  /** Returns the event's place. */
  add(event: EncodedEvent): Place {
    if (this.#segment.full) this.#segment = new Segment()
    return { segment: this.#segment, index: this.#segment.add(event) }
  }
}

/** Where an event stands among a channel's broadcasts. */
export interface Place {
  readonly segment: Segment
  readonly index: number
}

/** What is to be sent, and to whom. */
export interface Job {
  readonly event: EncodedEvent
  readonly number: number
  readonly previousId: string
  readonly place: Place
  readonly roll: Roll
}

/** After so many streams the clock is looked at. */
const BETWEEN_LOOKS = 96

/** Sends one event, slice by slice. */
export class Broadcast implements Work {
  readonly tally: BroadcastResult = { sent: 0, queued: 0, dropped: 0, closed: 0 }
  /** The id of the channel's last event before this one that had one; `''` for none. */
  readonly previousId: string
  readonly #done = new Deferred<BroadcastResult>()
  readonly #event: EncodedEvent
  readonly #number: number
  readonly #segment: Segment
  readonly #index: number
  readonly #roll: Roll
  /** Whether it is for everybody, so that lanes need not be asked whose they are. */
  readonly #forAll: boolean
  #at = 0
  readonly #filter: BroadcastOptions['filter']
  readonly #except: ReadonlySet<EventStream> | undefined
  #failed: { error: unknown } | undefined

  constructor(
    { event, number, previousId, place, roll }: Job,
    { filter, except }: BroadcastOptions,
  ) {
    this.#event = event
    this.#number = number
    this.previousId = previousId
    this.#segment = place.segment
    this.#index = place.index
    this.#roll = roll
    this.#filter = filter
    this.#except = except === undefined ? undefined : new Set(asList(except))
    // A comment is no event, and lanes count all that they carry as events.
    this.#forAll = filter === undefined && except === undefined && !event.isComment
  }

  /** Settles once the last slice is out. Rejects with what the broadcast's own filter threw. */
  get done(): Promise<BroadcastResult> {
    return this.#done.promise
  }

  /** Whether this event has not come to a member that it is for. Takes a pass over all: asked while slices are left. */
  isBefore(member: Member): boolean {
    return this.#roll.members.indexOf(member) >= this.#at && member.joinedAfter < this.#number
  }

  run(until: number): boolean {
    const count = this.#roll.members.length
    let before = monotonicNow()
    while (this.#at < count) {
      try {
        this.#sendToSome()
        // The sending itself is most of the work, so it has to be done before the clock can tell.
        sharedBatch.flush()
      } catch (error) {
        // Nothing that is known throws here; the others get the event all the same, and once.
        this.#failed ??= { error }
      }
      const now = monotonicNow()
      // The next part takes about as long as this one did, and has to fit too.
      if (now + (now - before) >= until && this.#at < count) return false
      before = now
    }
    return this.#finish()
  }

  #sendToSome(): void {
    const { members, lanes } = this.#roll
    const end = Math.min(members.length, this.#at + BETWEEN_LOOKS)
    let next = this.#at
    try {
      while (next < end) {
        const at = next++
        const lane = this.#forAll ? lanes[at] : undefined
        if (lane?.cast(this.#event, this.#segment, this.#index)) this.tally.sent += 1
        else this.#sendTo(members[at] as Member)
      }
    } finally {
      this.#at = next
    }
  }

  #finish(): true {
    if (this.#failed === undefined) this.#done.resolve(this.tally)
    else this.#done.reject(this.#failed.error)
    return true
  }

  #sendTo(member: Member): void {
    if (member.left || member.joinedAfter >= this.#number) return
    if (this.#except?.has(member.stream)) return
    if (member.filter !== undefined && !this.#passes(member.stream, member.filter)) return
    if (this.#filter !== undefined && !this.#isFor(member.stream, this.#filter)) return
    const result = this.#deliver(member.stream)
    this.tally[result] += 1
    if (this.#forAll && result === 'sent') member.stream.sender.follow(this.#segment, this.#index)
  }

  /** An application may have wrapped the response's `write`: what that throws is the end of this stream, and not of all. */
  #deliver(stream: LiveStream): SendResult {
    try {
      return stream.sendEncoded(this.#event)
    } catch (error) {
      stream.fail(error)
      return 'closed'
    }
  }

  /** A subscriber whose own filter throws has a bug that concerns nobody else. */
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
