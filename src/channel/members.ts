// The streams that are subscribed to a channel.
import type { EncodedEvent } from '../sse/encode.js'
import type { LiveStream } from '../stream/live-stream.js'
import type { EndListener } from '../stream/writer.js'
import type { BroadcastPage } from '../transport/fast/broadcast-page.js'
import { Cohort, type CohortMember } from '../transport/fast/cohort.js'
import type { FastPath } from '../transport/transport.js'

const NOT_OUTSIDE = -1

/** How a subscription begins. */
export type Start = Pick<Member, 'filter' | 'joinedAfter' | 'startId'>

/**
 * The subscription of one stream. It is stored among the stream's end listeners, and found there.
 */
export class Member implements EndListener, CohortMember {
  readonly members: Members
  readonly stream: LiveStream
  readonly filter: ((event: EncodedEvent) => boolean) | undefined
  /** The number of broadcasts before it subscribed. It gets the later ones. */
  readonly joinedAfter: number
  /** The id of the last event that it had then, or was about to be sent; `''` if there was none. */
  readonly startId: string
  left = false
  /** Its index outside the cohort. */
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

/** The members. Those that keep up are rows of the cohort. All others are in a list. */
export class Members {
  readonly cohort = new Cohort<Member>()
  /**
   * Called with a member that leaves the cohort. `missed`: the cohort's current broadcast has not
   * reached it.
   */
  onLeft: ((member: Member, missed: boolean) => void) | undefined
  #outside: Member[] = []
  /** Whether the list is in use for an iteration, and must not change. */
  #shared = false
  /**
   * The last event ids of streams that were unsubscribed and are still open. They may be subscribed
   * again.
   */
  readonly #lastIds = new WeakMap<LiveStream, string>()

  get size(): number {
    return this.#outside.length + this.cohort.size
  }

  /** The current members. */
  all(): readonly Member[] {
    return this.cohort.size === 0 ? this.outside() : [...this.#outside, ...this.cohort.members()]
  }

  /**
   * The current members outside the cohort. The list is copied only when a member is added or
   * removed.
   */
  outside(): readonly Member[] {
    this.#shared = true
    return this.#outside
  }

  find(stream: LiveStream): Member | undefined {
    const found = stream.writer.endListeners.find(
      (each) => each instanceof Member && each.members === this,
    )
    return found as Member | undefined
  }

  /**
   * The id of the last event that a stream was sent before it was removed; `undefined` for a stream
   * that is new here.
   */
  lastIdOf(stream: LiveStream): string | undefined {
    return this.#lastIds.get(stream)
  }

  add(stream: LiveStream, start: Start): void {
    const member = new Member(this, stream, start)
    this.#putOutside(member)
    stream.writer.onEnd(member)
  }

  /** Moves a member into the cohort if none of its events are waiting. Returns whether it did. */
  join(member: Member): boolean {
    if (!member.stream.writer.hasRoom || !this.cohort.join(member)) return false
    this.#takeFromOutside(member)
    return true
  }

  onLeave(member: Member, missed: boolean): void {
    this.#putOutside(member)
    this.onLeft?.(member, missed)
  }

  /** Removes a stream that stays open, and stores the id of the last event that it was sent. */
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
    if (!this.#shared) return
    this.#shared = false
    this.#outside = this.#outside.slice()
  }
}
