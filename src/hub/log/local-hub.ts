// A hub within one process.
import { systemClock } from '../../internal/clock.js'
import { callAtEndOfTick } from '../../internal/scheduling.js'
import { hubClosed, hubDown } from '../failures.js'
import type {
  Entry,
  Feed,
  FeedListener,
  Hub,
  Keep,
  NewEntry,
  Page,
  Position,
  ReadRequest,
} from '../hub.js'
import type { Cursor } from './cursor.js'
import { type KeptLog, LogKeeper } from './log-keeper.js'

/**
 * A hub that exists in this process only. It is meant for development and tests, and for programs
 * that can run as one process or as several: channels have the same ids, outcomes and errors as
 * with an engine. A channel without a hub is faster.
 *
 * The logs are in memory. When the last open channel of a name is closed, its log is removed after
 * the `maxAge` of its history or after an hour, whichever is shorter.
 *
 * @example
 * const hub = localHub()
 * const news = createChannel({ hub, name: 'news', history: { maxEvents: 1_000 } })
 */
export function localHub(): Hub {
  return new LocalHub()
}

/** A hub over logs in this process. */
export class LocalHub implements Hub {
  readonly scope: string
  readonly #keeper: LogKeeper
  readonly #feeds = new Set<LocalFeed>()
  #closed = false

  constructor(keeper = new LogKeeper(systemClock), scope = 'local') {
    this.#keeper = keeper
    this.scope = scope
  }

  open(channel: string, listener: FeedListener, keep: Keep): Feed {
    if (this.#closed) throw hubClosed()
    const feed = new LocalFeed(this.#keeper, this.#keeper.open(channel, keep), listener, () =>
      this.#feeds.delete(feed),
    )
    this.#feeds.add(feed)
    return feed
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const feed of this.#feeds) feed.close()
    this.#keeper.close()
  }
}

class LocalFeed implements Feed {
  readonly #keeper: LogKeeper
  readonly #kept: KeptLog
  readonly #listener: FeedListener
  readonly #cursor: Cursor
  readonly #forget: () => void
  #closed = false

  constructor(keeper: LogKeeper, kept: KeptLog, listener: FeedListener, forget: () => void) {
    this.#keeper = keeper
    this.#kept = kept
    this.#listener = listener
    this.#forget = forget
    const { log } = kept
    this.#cursor = kept.listen({
      entries: (batch) => this.#hand(batch),
      gap: (after, next) => listener.gap(log.positionOf(after), log.positionOf(next)),
    })
    const start = log.positionOf(this.#cursor.at)
    callAtEndOfTick(() => {
      if (this.#closed) return
      listener.start(start)
      listener.state('live')
      this.#cursor.begin()
    }, undefined)
  }

  async publish(entry: NewEntry): Promise<Position> {
    this.#checkOpen()
    return this.#kept.append(entry, this.#keeper.now())
  }

  async read({ after, upTo, limit }: ReadRequest): Promise<Page> {
    this.#checkOpen()
    const { log } = this.#kept
    return log.page(log.numberOf(after), log.numberOf(upTo), limit)
  }

  compare(a: Position, b: Position): number {
    return this.#kept.log.numberOf(a) - this.#kept.log.numberOf(b)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#kept.leave(this.#cursor, this.#keeper.now())
    this.#forget()
  }

  #hand(batch: readonly Entry[]): void | Promise<void> {
    const pauses: Promise<void>[] = []
    for (const entry of batch) {
      if (this.#closed) break
      const pause = this.#listener.entry(entry)
      if (pause !== undefined) pauses.push(pause)
    }
    if (pauses.length > 0) return Promise.all(pauses).then(() => {})
  }

  #checkOpen(): void {
    if (this.#closed) throw hubDown('The channel has been closed.')
  }
}
