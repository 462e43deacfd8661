// A worker's side: a hub whose logs are in the primary.
import { type Clock, systemClock } from '../../internal/clock.js'
import { hubClosed } from '../failures.js'
import type { Feed, FeedListener, Hub, Keep } from '../hub.js'
import { type FromPrimary, type FromWorker, type Line, MARK, opened } from './messages.js'
import { Requests } from './requests.js'
import { WorkerFeed } from './worker-feed.js'
import type { WorkerLink } from './worker-link.js'

/**
 * Time without an answer to `open` after which the worker asks again, in milliseconds. The primary
 * may not have made its hub yet.
 */
const ASK_AGAIN = 5_000

/** The hub of a worker or thread. */
export class WorkerHub implements Hub, WorkerLink {
  readonly scope: string
  readonly requests: Requests
  readonly clock: Clock
  readonly #name: string
  readonly #line: Line
  readonly #feeds = new Map<number, WorkerFeed>()
  readonly #unlisten: () => void
  #nextFeed = 1
  #gone: Error | undefined
  #closed = false
  #cancelAsking: (() => void) | undefined

  constructor(name: string, scope: string, line: Line, clock: Clock = systemClock) {
    this.#name = name
    this.scope = scope
    this.#line = line
    this.clock = clock
    this.requests = new Requests()
    const unlistenMessages = line.onMessage((value) => {
      const message = opened<FromPrimary>(value, name)
      if (message !== undefined) this.#take(message)
    })
    const unlistenGone = line.onGone(() => this.#primaryGone())
    this.#unlisten = () => {
      unlistenMessages()
      unlistenGone()
    }
  }

  open(channel: string, listener: FeedListener, keep: Keep): Feed {
    if (this.#closed) throw hubClosed()
    const number = this.#nextFeed++
    const feed = new WorkerFeed(this, { number, channel, keep }, listener)
    this.#feeds.set(number, feed)
    if (this.#gone === undefined) feed.ask()
    else feed.down(this.#gone)
    this.#cancelAsking ??= this.clock.after(ASK_AGAIN, () => this.#askAgain())
    return feed
  }

  async close(): Promise<void> {
    for (const feed of this.#feeds.values()) feed.close()
    this.#cancelAsking?.()
    this.#closed = true
    this.#unlisten()
  }

  send(message: FromWorker, failed: (error: Error) => void): void {
    try {
      if (this.#gone !== undefined) throw this.#gone
      this.#line.send({ type: MARK, hub: this.#name, message }, failed)
    } catch (error) {
      failed(error as Error)
    }
  }

  taken({ feed, entries, bytes }: Extract<FromPrimary, { kind: 'entries' }>): void {
    this.send({ kind: 'taken', feed, entries: entries.length, bytes }, () => {})
  }

  forget(feed: number): void {
    this.#feeds.delete(feed)
  }

  #take(message: FromPrimary): void {
    if ('request' in message) {
      this.requests.answer(message)
      return
    }
    const feed = this.#feeds.get(message.feed)
    if (feed !== undefined) feed.take(message)
    // The feed has just been closed. The primary still waits for the confirmation.
    else if (message.kind === 'entries') this.taken(message)
  }

  #askAgain(): void {
    const open = [...this.#feeds.values()].filter(({ started }) => !started)
    for (const feed of open) feed.askAgain()
    this.#cancelAsking =
      open.length > 0 ? this.clock.after(ASK_AGAIN, () => this.#askAgain()) : undefined
  }

  #primaryGone(): void {
    this.#gone = new Error('The primary has disconnected, and its logs are lost.')
    this.requests.abandon(this.#gone)
    for (const feed of this.#feeds.values()) feed.down(this.#gone)
  }
}
