// The primary's side: it numbers and stores entries, and sends each worker as much as it can take.
import type { Entry } from '../hub.js'
import type { Cursor } from '../log/cursor.js'
import type { KeptLog, LogKeeper } from '../log/log-keeper.js'
import { Credit } from './credit.js'
import { type FromPrimary, type FromWorker, type Line, MARK, opened, sizeOf } from './messages.js'

/**
 * Bytes in flight to one worker. Beyond that, the worker's feeds lag; the logs keep their entries.
 */
const MOST_BYTES = 4 * 1024 * 1024
/**
 * Entries in flight to one feed. Each feed has this limit, because a channel can be slower than the
 * others of its worker.
 */
const MOST_ENTRIES = 128

interface Subscription {
  readonly kept: KeptLog
  readonly cursor: Cursor
  readonly credit: Credit
}

/** Serves one worker or thread. */
export class WorkerService {
  readonly #hub: string
  readonly #keeper: LogKeeper
  readonly #line: Line
  readonly #feeds = new Map<number, Subscription>()
  readonly #unlisten: () => void
  readonly #credit = new Credit(MOST_BYTES)

  constructor(hub: string, keeper: LogKeeper, line: Line) {
    this.#hub = hub
    this.#keeper = keeper
    this.#line = line
    const unlistenMessages = line.onMessage((value) => {
      const message = opened<FromWorker>(value, hub)
      if (message !== undefined) this.#take(message)
    })
    const unlistenGone = line.onGone(() => this.close())
    this.#unlisten = () => {
      unlistenMessages()
      unlistenGone()
    }
  }

  /** Bytes in flight to the worker. */
  get untaken(): number {
    return this.#credit.untaken
  }

  close(): void {
    this.#unlisten()
    for (const feed of this.#feeds.keys()) this.#closeFeed(feed)
  }

  #take(message: FromWorker): void {
    if (message.kind === 'open') this.#open(message)
    else if (message.kind === 'close') this.#closeFeed(message.feed)
    else if (message.kind === 'taken') this.#taken(message)
    else this.#answer(message)
  }

  #open({ feed, channel, keep }: FromWorker & { kind: 'open' }): void {
    // A worker asks again if the answer is late.
    if (this.#feeds.has(feed)) return
    const kept = this.#keeper.open(channel, keep)
    const { log } = kept
    const credit = new Credit(MOST_ENTRIES)
    const cursor = kept.listen({
      room: () => credit.room() ?? this.#credit.room(),
      entries: (batch) => this.#hand(feed, credit, batch),
      gap: (after, next) => {
        const [from, to] = [log.positionOf(after), log.positionOf(next)]
        this.#send({ kind: 'gap', feed, after: from, next: to })
      },
    })
    this.#feeds.set(feed, { kept, cursor, credit })
    this.#send({ kind: 'started', feed, position: log.positionOf(cursor.at) })
    cursor.begin()
  }

  #closeFeed(feed: number): void {
    const { kept, cursor } = this.#feeds.get(feed) ?? {}
    if (cursor !== undefined) kept?.leave(cursor, this.#keeper.now())
    this.#feeds.delete(feed)
  }

  #answer(message: Extract<FromWorker, { request: number }>): void {
    const { feed, request } = message
    const kept = this.#feeds.get(feed)?.kept
    if (kept === undefined) {
      const text = 'The primary has not opened this channel.'
      this.#send({ kind: 'refused', request, code: 'ERR_HUB_DOWN', message: text })
    } else if (message.kind === 'publish') {
      const position = kept.append(message.entry, this.#keeper.now())
      this.#send({ kind: 'published', request, position })
    } else {
      const { log } = kept
      const [after, upTo] = [log.numberOf(message.after), log.numberOf(message.upTo)]
      this.#send({ kind: 'page', request, page: log.page(after, upTo, message.limit) })
    }
  }

  #hand(feed: number, credit: Credit, entries: readonly Entry[]): void {
    let bytes = 0
    for (const entry of entries) bytes += sizeOf(entry)
    credit.sent(entries.length)
    this.#credit.sent(bytes)
    this.#send({ kind: 'entries', feed, entries, bytes })
  }

  #taken({ feed, entries, bytes }: Extract<FromWorker, { kind: 'taken' }>): void {
    this.#feeds.get(feed)?.credit.taken(entries)
    this.#credit.taken(bytes)
  }

  #send(message: FromPrimary): void {
    // A send that fails needs no handling: `onGone` reports that the worker is gone.
    this.#line.send({ type: MARK, hub: this.#hub, message }, () => {})
  }
}
