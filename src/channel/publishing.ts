// Events on their way to a hub's log.
import { randomUUID } from 'node:crypto'
import type { Feed, Position } from '../hub/hub.js'
import { counters, countUp } from '../internal/counters.js'
import { TcpSseError } from '../internal/errors.js'
import type { BroadcastOptions } from './broadcast.js'

const MOST_BYTES = 16 * 1024 * 1024
/** Broadcasts with a filter whose fate is not known; of more the eldest is forgotten. */
const MOST_UNKNOWN = 1_000

/** What one channel of this process publishes. */
export class Publisher {
  readonly #prefix = `${randomUUID()}:`
  readonly #maxPending: number
  readonly #timeout: number
  readonly #pending = new Set<Promise<unknown>>()
  /** For whom those are that choose among their subscribers, by token, until the feed brings them. */
  readonly #whom = new Map<string, BroadcastOptions>()
  #bytes = 0
  #next = 0

  constructor(maxPending: number, timeout: number) {
    this.#maxPending = maxPending
    this.#timeout = timeout
  }

  /** Whether something waits for the engine's answer. */
  get busy(): boolean {
    return this.#pending.size > 0
  }

  /** Settles when nothing waits any more. */
  async idle(): Promise<void> {
    await Promise.allSettled([...this.#pending])
  }

  /** For whom an entry is that the feed has brought, if it is one of this channel's here. */
  takeWhom(token: string): BroadcastOptions | undefined {
    const whom = this.#whom.get(token)
    if (whom !== undefined) this.#whom.delete(token)
    return whom
  }

  async publish(
    feed: Feed,
    { text, key }: { text: string; key: string | undefined },
    whom: BroadcastOptions | undefined,
  ): Promise<Position> {
    if (this.#pending.size >= this.#maxPending || this.#bytes + text.length > MOST_BYTES) {
      countUp(counters.published, 'down')
      throw new TcpSseError('ERR_HUB_DOWN', 'Too many events wait for the answer of the engine.')
    }
    const token = `${this.#prefix}${this.#next++}`
    if (whom !== undefined) this.#note(token, whom)
    const published = feed.publish({ text, token, key }, this.#timeout)
    this.#pending.add(published)
    this.#bytes += text.length
    try {
      const position = await published
      countUp(counters.published, 'taken')
      return position
    } catch (error) {
      const unknown = error instanceof TcpSseError && error.code === 'ERR_PUBLISH_UNKNOWN'
      countUp(counters.published, unknown ? 'unknown' : 'down')
      if (!unknown) this.#whom.delete(token)
      throw error
    } finally {
      this.#pending.delete(published)
      this.#bytes -= text.length
    }
  }

  #note(token: string, whom: BroadcastOptions): void {
    this.#whom.set(token, whom)
    if (this.#whom.size <= this.#maxPending + MOST_UNKNOWN) return
    const [eldest = ''] = this.#whom.keys()
    this.#whom.delete(eldest)
  }
}
