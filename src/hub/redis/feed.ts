import { hubDown } from '../failures.js'
import type { Feed, NewEntry, Page, Position, ReadRequest } from '../hub.js'
import type { Commands } from './commands.js'
import { readPage } from './log.js'
import type { Publisher } from './publisher.js'
import { compareIds, placeOf } from './stream-id.js'
import type { Tail } from './tail.js'

/** The parts of a feed. */
export interface FeedParts {
  readonly tail: Tail
  readonly publisher: Publisher
  readonly commands: Commands
  readonly answerWithin: number
  readonly onClose: () => void
}

const NOTHING: Page = { outcome: 'unknown', entries: [], more: false }

/** One channel's stream, as one channel object of this process uses it. */
export class RedisFeed implements Feed {
  readonly #parts: FeedParts
  #closed = false

  constructor(parts: FeedParts) {
    this.#parts = parts
  }

  publish(entry: NewEntry, timeout: number): Promise<Position> {
    return this.#parts.publisher.publish(entry, timeout)
  }

  async read({ after, upTo, limit, timeout }: ReadRequest): Promise<Page> {
    if (this.#closed) throw hubDown('The channel has been closed.')
    const { tail, commands, answerWithin } = this.#parts
    const from = placeOf(after)
    const to = placeOf(upTo)
    // A string that is not a position of this log costs the server nothing.
    if (from === undefined || to === undefined || tail.place === undefined) return NOTHING
    if (from.era !== tail.place.era) return NOTHING
    // The bound is of another era: the log was made anew, and the listener is about to learn that.
    const bound = to.era === from.era ? to.id : from.id
    return commands.link.request(timeout, (session) =>
      readPage((...args) => session.command(args, answerWithin), tail.key, from, bound, limit),
    )
  }

  compare(a: Position, b: Position): number {
    const [left, right] = [placeOf(a), placeOf(b)]
    if (left === undefined || right === undefined || left.era !== right.era) return Number.NaN
    return compareIds(left.id, right.id)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#parts.tail.close()
    this.#parts.publisher.close()
    this.#parts.onClose()
  }
}
