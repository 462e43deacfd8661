// Who is subscribed to a channel.
import type { EncodedEvent } from '../sse/encode.js'
import type { Lane } from '../stream/lane.js'
import type { LiveStream } from '../stream/live-stream.js'
import type { EndListener } from '../stream/sender.js'

const GONE = -1

/** One stream's subscription. The stream keeps it among its end listeners, and that is where it is found. */
export class Member implements EndListener {
  readonly members: Members
  readonly stream: LiveStream
  readonly lane: Lane | undefined
  readonly filter: ((event: EncodedEvent) => boolean) | undefined
  /** How many broadcasts there had been when it came: it gets those after. */
  readonly joinedAfter: number
  /** Its place in the list. */
  index = GONE

  constructor(members: Members, stream: LiveStream, filter: Member['filter'], joinedAfter: number) {
    this.members = members
    this.stream = stream
    this.lane = stream.sender.lane
    this.filter = filter
    this.joinedAfter = joinedAfter
  }

  get left(): boolean {
    return this.index === GONE
  }

  onEnd(): void {
    this.members.remove(this)
  }
}

/** The members, in one array: a broadcast goes over thousands of them, and takes no copy while nobody comes or goes. */
export class Members {
  #list: Member[] = []
  /** Whether somebody goes over the list, who must not see it change. */
  #lent = false

  get size(): number {
    return this.#list.length
  }

  /** The members as of now. */
  lend(): readonly Member[] {
    this.#lent = true
    return this.#list
  }

  find(stream: LiveStream): Member | undefined {
    const found = stream.sender.endListeners.find(
      (each) => each instanceof Member && each.members === this,
    )
    return found as Member | undefined
  }

  add(stream: LiveStream, filter: Member['filter'], joinedAfter: number): void {
    const member = new Member(this, stream, filter, joinedAfter)
    const list = this.#own()
    member.index = list.length
    list.push(member)
    stream.sender.onEnd(member)
  }

  /** Takes a stream out that goes on without the channel. Returns whether it was in. */
  leave(stream: LiveStream): boolean {
    const member = this.find(stream)
    if (member === undefined) return false
    this.remove(member)
    stream.sender.offEnd(member)
    return true
  }

  remove(member: Member): void {
    const { index } = member
    if (index === GONE) return
    member.index = GONE
    const list = this.#own()
    const last = list.pop() as Member
    if (last === member) return
    list[index] = last
    last.index = index
  }

  #own(): Member[] {
    if (this.#lent) this.#list = this.#list.slice()
    this.#lent = false
    return this.#list
  }
}
