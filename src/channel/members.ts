// Who is subscribed to a channel.
import type { EncodedEvent } from '../sse/encode.js'
import type { LiveStream } from '../stream/live-stream.js'
import type { EndListener } from '../stream/writer.js'
import type { BroadcastPage } from '../transport/fast/broadcast-page.js'
import { Cohort, type CohortMember } from '../transport/fast/cohort.js'
import type { FastPath } from '../transport/transport.js'

const NOT_OUTSIDE = -1

/** How a subscription begins. */
export type Start = Pick<Member, 'filter' | 'joinedAfter' | 'startId'>

/** One stream's subscription. The stream keeps it among its end listeners, and that is where it is found. */
export class Member implements EndListener, CohortMember {
  readonly members: Members
  readonly stream: LiveStream
  readonly filter: ((event: EncodedEvent) => boolean) | undefined
  /** How many broadcasts there had been when it came: it gets those after. */
  readonly joinedAfter: number
  /** The id of the last event that it had then, or was about to be sent; `''` for none. */
  readonly startId: string
  left = false
  /** Its place outside the cohort. */
  index = NOT_OUTSIDE

  constructor(members: Members, stream: LiveStream, { filter, joinedAfter, startId }: Start) {
    this.members = members
    this.stream = stream
    this.filter = filter
    this.joinedAfter = joinedAfter
    this.startId = startId
  }

  /** Whether it is a row of the cohort. */
  get isInside(): boolean {
    return !this.left && this.index === NOT_OUTSIDE
  }

  get fast(): FastPath | undefined {
    return this.stream.writer.transport.fast
  }

  credit(page: BroadcastPage, first: number, next: number): void {
    this.stream.writer.credit(page, first, next)
  }

  onLeave(missed: boolean): void {
    this.members.onLeave(this, missed)
  }

  onEnd(): void {
    this.members.remove(this)
  }
}

/** The members: those that keep up are rows of the cohort, all others are in a list. */
export class Members {
  readonly cohort = new Cohort<Member>()
  /** Called with a member that leaves the cohort. `missed`: the cohort's broadcast under way has not come to it. */
  onLeft: ((member: Member, missed: boolean) => void) | undefined
  #outside: Member[] = []
  /** Whether the list is being gone over, and must not change. */
  #lent = false
  /** What those had that went without an end, by id: they may come again. */
  readonly #lastIds = new WeakMap<LiveStream, string>()

  get size(): number {
    return this.#outside.length + this.cohort.size
  }

  /** The members as of now. */
  all(): readonly Member[] {
    return this.cohort.size === 0 ? this.outside() : [...this.#outside, ...this.cohort.riders()]
  }

  /** Those outside the cohort, as of now. Not copied as long as none comes or goes. */
  outside(): readonly Member[] {
    this.#lent = true
    return this.#outside
  }

  find(stream: LiveStream): Member | undefined {
    const found = stream.writer.endListeners.find(
      (each) => each instanceof Member && each.members === this,
    )
    return found as Member | undefined
  }

  /** The id of the last event that a stream was sent before it was taken out; `undefined` for one that is new here. */
  lastIdOf(stream: LiveStream): string | undefined {
    return this.#lastIds.get(stream)
  }

  add(stream: LiveStream, start: Start): void {
    const member = new Member(this, stream, start)
    this.#putOutside(member)
    stream.writer.onEnd(member)
  }

  /** Takes a member into the cohort, if nothing of its stream's waits. Returns whether it has. */
  join(member: Member): boolean {
    if (!member.stream.writer.hasRoom || !this.cohort.join(member)) return false
    this.#takeFromOutside(member)
    return true
  }

  onLeave(member: Member, missed: boolean): void {
    this.#putOutside(member)
    this.onLeft?.(member, missed)
  }

  /** Takes a stream out that goes on without the channel, and remembers the last event that it has had. */
  leave(member: Member, lastId: string): void {
    const { stream } = member
    this.remove(member)
    stream.writer.offEnd(member)
    this.#lastIds.set(stream, lastId)
  }

  remove(member: Member): void {
    if (member.left) return
    if (member.isInside) member.fast?.seat?.leave()
    this.#takeFromOutside(member)
    member.left = true
  }

  #putOutside(member: Member): void {
    this.#own()
    member.index = this.#outside.length
    this.#outside.push(member)
  }

  #takeFromOutside(member: Member): void {
    const { index } = member
    this.#own()
    member.index = NOT_OUTSIDE
    const last = this.#outside.pop() as Member
    if (last === member) return
    this.#outside[index] = last
    last.index = index
  }

  #own(): void {
    if (!this.#lent) return
    this.#lent = false
    this.#outside = this.#outside.slice()
  }
}
