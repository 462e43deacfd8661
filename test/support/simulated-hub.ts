// One log and several processes that see it late: what comes to whom, and when, is the test's to say.
import { EntryLog } from '../../src/hub/log/entry-log.js'
import type {
  Feed,
  FeedListener,
  Hub,
  Keep,
  NewEntry,
  Page,
  Position,
  ReadRequest,
} from '../../src/index.js'
import { TcpSseError } from '../../src/internal/errors.js'

/** The engine: one channel. */
export class SimulatedLog {
  log: EntryLog
  reads = 0
  away = false
  readonly #keep: number
  #era = 1

  constructor(keep: number) {
    this.#keep = keep
    this.log = this.#fresh()
  }

  /** Everything is lost, and numbers begin anew. */
  forget(): void {
    this.#era += 1
    this.log = this.#fresh()
  }

  #fresh(): EntryLog {
    const log = new EntryLog(`era${this.#era}`, { now: () => 0 })
    log.keep({ maxEvents: this.#keep })
    return log
  }
}

/** One process's connection to it. */
export class SimulatedHub implements Hub {
  readonly scope = 'simulated'
  readonly engine: SimulatedLog
  readonly feeds: SimulatedFeed[] = []
  readonly listeners: FeedListener[] = []

  constructor(engine: SimulatedLog) {
    this.engine = engine
  }

  open(_channel: string, listener: FeedListener, _keep: Keep): Feed {
    const feed = new SimulatedFeed(this.engine, listener)
    this.feeds.push(feed)
    this.listeners.push(listener)
    return feed
  }

  async close(): Promise<void> {}
}

export class SimulatedFeed implements Feed {
  readonly #engine: SimulatedLog
  readonly #listener: FeedListener
  #log: EntryLog
  #at: number
  #started = false
  /** Reads that wait for the test. */
  readonly held: { answer(): void; fail(): void }[] = []

  constructor(engine: SimulatedLog, listener: FeedListener) {
    this.#engine = engine
    this.#listener = listener
    this.#log = engine.log
    this.#at = engine.log.last
  }

  get cursor(): Position {
    return this.#log.positionOf(this.#at)
  }

  /** So many entries come; what was lost is reported first. */
  deliver(count: number): void {
    if (!this.#started) {
      this.#started = true
      this.#listener.start(this.cursor)
      this.#listener.state('live')
    }
    if (this.#log !== this.#engine.log) {
      const before = this.cursor
      this.#log = this.#engine.log
      this.#at = 0
      this.#listener.gap(before, this.cursor)
    }
    const { outcome, entries } = this.#log.page(this.#at, this.#log.last, Math.max(1, count))
    if (outcome === 'partial') {
      const before = this.cursor
      this.#at = this.#log.numberOf(entries[0]?.position ?? '') - 1
      this.#listener.gap(before, this.cursor)
    }
    for (const entry of entries.slice(0, count)) {
      this.#at = this.#log.numberOf(entry.position)
      void this.#listener.entry(entry)
    }
  }

  async publish(entry: NewEntry): Promise<Position> {
    if (this.#engine.away) throw new TcpSseError('ERR_HUB_DOWN', 'away')
    return this.#engine.log.append(entry)
  }

  read({ after, upTo, limit }: ReadRequest): Promise<Page> {
    this.#engine.reads += 1
    return new Promise((resolve, reject) => {
      this.held.push({
        answer: () => {
          const { log } = this.#engine
          // Small pages, so that there are several.
          resolve(log.page(log.numberOf(after), log.numberOf(upTo), Math.min(limit, 3)))
        },
        fail: () => reject(new TcpSseError('ERR_HUB_DOWN', 'no answer')),
      })
    })
  }

  compare(a: Position, b: Position): number {
    const [eraOfA, numberOfA] = a.split('.')
    const [eraOfB, numberOfB] = b.split('.')
    return eraOfA === eraOfB ? Number(numberOfA) - Number(numberOfB) : Number.NaN
  }

  close(): void {}
}
