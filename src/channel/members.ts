// Who is subscribed to a channel.
import type { EncodedEvent } from '../sse/encode.js'
import type { LiveStream } from '../stream/live-stream.js'
import type { EndListener } from '../stream/sender.js'
import type { Lane } from '../transport/fast/lane.js'

const GONE = -1

/** How a subscription begins. */
export type Start = Pick<Member, 'filter' | 'joinedAfter' | 'startId'>

/** One stream's subscription. The stream keeps it among its end listeners, and that is where it is found. */
export class Member implements EndListener {
  readonly members: Members
  readonly stream: LiveStream
  readonly filter: ((event: EncodedEvent) => boolean) | undefined
  /** How many broadcasts there had been when it came: it gets those after. */
  readonly joinedAfter: number
  /** The id of the last event that it had then, or was about to be sent; `''` for none. */
  readonly startId: string
  /** Its place in the list. */
  index = GONE

  constructor(members: Members, stream: LiveStream, { filter, joinedAfter, startId }: Start) {
    this.members = members
    this.stream = stream
    this.filter = filter
    this.joinedAfter = joinedAfter
    this.startId = startId
  }

  get left(): boolean {
    return this.index === GONE
  }

  onEnd(): void {
    this.members.remove(this)
  }
}

/** The members as of some moment. */
export interface Roll {
  readonly members: readonly Member[]
  /** The lane of each, where broadcasts may take it: of those without a filter. */
  readonly lanes: readonly (Lane | undefined)[]
}

/** The members, in arrays: a broadcast goes over thousands of them, and takes no copy while nobody comes or goes. */
export class Members {
  #members: Member[] = []
  #lanes: (Lane | undefined)[] = []
  /** Whether somebody goes over the arrays, who must not see them change. */
  #lent = false
  /** What those had that went without an end, by id: they may come again. */
  readonly #lastIds = new WeakMap<LiveStream, string>()

  get size(): number {
    return this.#members.length
  }

  /** The members as of now. */
  lend(): Roll {
    this.#lent = true
    return { members: this.#members, lanes: this.#lanes }
  }

  find(stream: LiveStream): Member | undefined {
    const found = stream.sender.endListeners.find(
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
    this.#own()
    member.index = this.#members.length
    this.#members.push(member)
    this.#lanes.push(start.filter === undefined ? stream.sender.lane : undefined)
    stream.sender.onEnd(member)
  }

  /** Takes a stream out that goes on without the channel, and remembers the last event that it has had. */
  leave(member: Member, lastId: string): void {
    const { stream } = member
    this.remove(member)
    stream.sender.offEnd(member)
    this.#lastIds.set(stream, lastId)
  }

  remove(member: Member): void {
    const { index } = member
    if (index === GONE) return
    member.index = GONE
    // A broadcast under way still knows the lane.
    member.stream.sender.breakRun()
    this.#own()
    const last = this.#members.pop() as Member
    const lane = this.#lanes.pop()
    if (last === member) return
    this.#members[index] = last
    this.#lanes[index] = lane
    last.index = index
  }

  #own(): void {
    if (!this.#lent) return
    this.#lent = false
    this.#members = this.#members.slice()
    this.#lanes = this.#lanes.slice()
  }
}
