// Reads a hub's logs for clients that reconnect. Clients share reads, and only a few reads run at a
// time.

import type { Feed, Hub, Page, Position } from '../hub/hub.js'
import { type Clock, systemClock } from '../internal/clock.js'
import { counters } from '../internal/counters.js'
import { Deferred } from '../internal/deferred.js'
import { TcpSseError } from '../internal/errors.js'
import { callAfter } from '../internal/scheduling.js'
import type { EncodedEvent } from '../sse/encode.js'
import type { IdTag } from './id-tag.js'

/** A part of the events that a client has missed. */
export interface ReplayPage {
  readonly outcome: Page['outcome']
  readonly events: readonly EncodedEvent[]
  /** The page contains everything up to this position. */
  readonly reached: Position
}

/** The log to read. */
export interface Reading {
  readonly channel: string
  readonly feed: Feed
  readonly tag: IdTag
  /** Milliseconds. */
  readonly timeout: number
}

interface Known {
  readonly page: Promise<ReplayPage>
  readonly channel: string
  bytes: number
  /** `Infinity` while the read is pending. */
  until: number
}

/** Entries per page. */
const PAGE = 500
/** Concurrent reads per hub. */
const AT_ONCE = 8
/**
 * How many reads may wait for their turn. Further ones are refused, so that invented ids cannot
 * exhaust memory.
 */
const MOST_WAITING = 1_000
/**
 * How long a result is kept, in milliseconds, for clients that reconnect within a few seconds of
 * each other.
 */
const REMEMBERED = 10_000
const MOST_BYTES = 8 * 1024 * 1024
const MOST_PAGES = 2_000
/** The assumed size of a page without events, in bytes. */
const PAGE_SIZE = 200

/** The reads of one hub in this process. */
export class ReplayReader {
  readonly #clock: Clock
  /** Ordered by age, oldest first. */
  readonly #known = new Map<string, Known>()
  #bytes = 0
  readonly #running = new Set<Deferred<void>>()
  readonly #waiting: Deferred<void>[] = []

  constructor(clock: Clock = systemClock) {
    this.#clock = clock
  }

  /**
   * Reads the events after a position, up to the cursor. Callers that need the same page share one
   * read. A page stays valid, because a log only grows.
   *
   * @throws {TcpSseError} `ERR_HUB_DOWN`, as a rejection
   */
  page(reading: Reading, after: Position, upTo: Position): Promise<ReplayPage> {
    const { channel, timeout } = reading
    const key = `${channel}\0${after}`
    const known = this.#known.get(key)
    if (known !== undefined && known.until > this.#clock.now()) return known.page
    if (known !== undefined) this.#drop(key, known)
    const page = this.#inTurn(() => read(reading, after, upTo), timeout)
    const fresh = { page, channel, bytes: PAGE_SIZE, until: Number.POSITIVE_INFINITY }
    this.#known.set(key, fresh)
    this.#bytes += fresh.bytes
    page.then(
      ({ events }) => this.#keep(key, fresh, events),
      () => this.#drop(key, fresh),
    )
    return page
  }

  /** Forgets the pages of a channel, because its log is another one now. */
  forget(channel: string): void {
    for (const [key, known] of this.#known) if (known.channel === channel) this.#drop(key, known)
  }

  #keep(key: string, known: Known, events: readonly EncodedEvent[]): void {
    if (this.#known.get(key) !== known) return
    let bytes = 0
    for (const event of events) bytes += event.bytes.length
    known.bytes += bytes
    known.until = this.#clock.now() + REMEMBERED
    this.#bytes += bytes
    for (const [eldest, other] of this.#known) {
      const fits = this.#bytes <= MOST_BYTES && this.#known.size <= MOST_PAGES
      if (fits && other.until > this.#clock.now()) break
      if (Number.isFinite(other.until)) this.#drop(eldest, other)
    }
  }

  #drop(key: string, known: Known): void {
    if (this.#known.get(key) !== known) return
    this.#known.delete(key)
    this.#bytes -= known.bytes
  }

  /** Runs an action in its turn. The timeout includes the wait. */
  async #inTurn(action: () => Promise<ReplayPage>, timeout: number): Promise<ReplayPage> {
    const late = new Deferred<never>()
    late.promise.catch(() => {})
    const cancel = callAfter(timeout, () =>
      late.reject(new TcpSseError('ERR_HUB_DOWN', `The log was not read within ${timeout} ms.`)),
    )
    const turn = new Deferred<void>()
    try {
      this.#queueUp(turn)
      await Promise.race([turn.promise, late.promise])
      return await Promise.race([action(), late.promise])
    } finally {
      cancel()
      this.#stepAside(turn)
    }
  }

  #queueUp(turn: Deferred<void>): void {
    if (this.#waiting.length >= MOST_WAITING) {
      throw new TcpSseError('ERR_HUB_DOWN', 'Too many clients are waiting for missed events.')
    }
    this.#waiting.push(turn)
    this.#next()
  }

  #stepAside(turn: Deferred<void>): void {
    const index = this.#waiting.indexOf(turn)
    if (index >= 0) this.#waiting.splice(index, 1)
    if (this.#running.delete(turn)) this.#next()
  }

  #next(): void {
    if (this.#running.size >= AT_ONCE) return
    const turn = this.#waiting.shift()
    if (turn === undefined) return
    this.#running.add(turn)
    turn.resolve()
  }
}

async function read(
  { feed, tag, timeout }: Reading,
  after: Position,
  upTo: Position,
): Promise<ReplayPage> {
  counters.hubReads += 1
  const { outcome, entries, more } = await feed.read({ after, upTo, limit: PAGE, timeout })
  const end = feed.compare(upTo, after) > 0 ? upTo : after
  const reached = more ? (entries.at(-1)?.position ?? after) : end
  return { outcome, events: entries.map((entry) => tag.encode(entry)), reached }
}

const readers = new WeakMap<Hub, ReplayReader>()

/** Returns the reader of a hub. */
export function replayReader(hub: Hub): ReplayReader {
  const reader = readers.get(hub) ?? new ReplayReader()
  readers.set(hub, reader)
  return reader
}
