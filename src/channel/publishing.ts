// Publishes events to a hub's log.
import { randomUUID } from 'node:crypto'
import type { Feed, Position } from '../hub/hub.js'
import { counters, countUp } from '../internal/counters.js'
import { TcpSseError } from '../internal/errors.js'
import { inRootContext } from '../internal/scheduling.js'
import type { BroadcastOptions } from './broadcast.js'

const MOST_BYTES = 16 * 1024 * 1024
/**
 * Broadcasts with chosen receivers and an unknown outcome that are remembered. Beyond that, the
 * oldest is forgotten.
 */
const MOST_UNKNOWN = 1_000

/** The publications of one channel of this process. */
export class Publisher {
  readonly #prefix = `${randomUUID()}:`
  readonly #maxPending: number
  readonly #timeout: number
  readonly #pending = new Set<Promise<unknown>>()
  /**
   * The broadcast options of publications with chosen receivers, by token, until the feed delivers
   * the entry.
   */
  readonly #whom = new Map<string, BroadcastOptions>()
  #bytes = 0
  #next = 0

  constructor(maxPending: number, timeout: number) {
    this.#maxPending = maxPending
    this.#timeout = timeout
  }

  /** Whether publications are waiting for the engine's answer. */
  get busy(): boolean {
    return this.#pending.size > 0
  }

  /** Settles when no publication is waiting any more. */
  async idle(): Promise<void> {
    await Promise.allSettled([...this.#pending])
  }

  /**
   * Returns the broadcast options of an entry, if this channel object has published it with any.
   */
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
      throw new TcpSseError(
        'ERR_HUB_DOWN',
        `${this.#pending.size} events (${this.#bytes} characters) of the channel wait for the hub, and the limits are ` +
          `maxPending (${this.#maxPending}) and ${MOST_BYTES} characters. Await broadcast() before the next event, or raise maxPending.`,
      )
    }
    const token = `${this.#prefix}${this.#next++}`
    if (whom !== undefined) this.#note(token, whom)
    const published = inRootContext(() => feed.publish({ text, token, key }, this.#timeout))
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
