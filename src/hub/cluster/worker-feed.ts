// One channel's feed in a worker.
import { TcpSseError } from '../../internal/errors.js'
import { callAtEndOfTick } from '../../internal/scheduling.js'
import type {
  Feed,
  FeedListener,
  FeedState,
  Keep,
  NewEntry,
  Page,
  Position,
  ReadRequest,
} from '../hub.js'
import { type FromPrimary, sizeOf } from './messages.js'
import type { WorkerLink } from './worker-link.js'

/** What the primary needs to open a feed. */
export interface Opening {
  readonly number: number
  readonly channel: string
  readonly keep: Keep
}

type ForFeed = Extract<FromPrimary, { feed: number }>

/** A feed of a log in the primary. */
export class WorkerFeed implements Feed {
  readonly #link: WorkerLink
  readonly #opening: Opening
  readonly #listener: FeedListener
  #state: FeedState = 'catching-up'
  #started = false
  #closed = false

  constructor(link: WorkerLink, opening: Opening, listener: FeedListener) {
    this.#link = link
    this.#opening = opening
    this.#listener = listener
  }

  /** Whether the primary has answered. */
  get started(): boolean {
    return this.#started
  }

  ask(): void {
    const { number: feed, channel, keep } = this.#opening
    this.#link.send({ kind: 'open', feed, channel, keep }, (error) => this.down(error))
  }

  askAgain(): void {
    this.down(new Error('The primary does not answer. Call clusterHub() in the primary, too.'))
    this.ask()
  }

  take(message: ForFeed): void {
    if (message.kind === 'entries') this.#hand(message)
    else if (message.kind === 'gap') this.#listener.gap(message.after, message.next)
    else if (!this.#started) {
      this.#started = true
      this.#listener.start(message.position)
      this.#become('live')
    }
  }

  /**
   * Defers the change of state, because `Hub.open` may call this and must not call the listener.
   */
  down(cause: Error): void {
    callAtEndOfTick(() => this.#become('down', cause), undefined)
  }

  async publish(entry: NewEntry, timeout: number): Promise<Position> {
    this.#checkOpen()
    const { number: feed } = this.#opening
    const answer = await this.#link.requests.ask({
      clock: this.#link.clock,
      feed,
      bytes: sizeOf(entry),
      timeout,
      unanswered: (cause) =>
        new TcpSseError(
          'ERR_PUBLISH_UNKNOWN',
          `The primary has not answered, so the event may or may not be in the log: ${cause.message}`,
          { cause },
        ),
      send: (request, failed) => this.#link.send({ kind: 'publish', feed, request, entry }, failed),
    })
    return answer.kind === 'published' ? answer.position : ''
  }

  async read({ after, upTo, limit, timeout }: ReadRequest): Promise<Page> {
    this.#checkOpen()
    const { number: feed } = this.#opening
    const answer = await this.#link.requests.ask({
      clock: this.#link.clock,
      feed,
      bytes: after.length,
      timeout,
      unanswered: (cause) =>
        new TcpSseError('ERR_HUB_DOWN', `The primary has not answered: ${cause.message}`, {
          cause,
        }),
      send: (request, failed) =>
        this.#link.send({ kind: 'read', feed, request, after, upTo, limit }, failed),
    })
    return answer.kind === 'page' ? answer.page : { outcome: 'unknown', entries: [], more: false }
  }

  compare(a: Position, b: Position): number {
    const [eraOfA, numberOfA] = parse(a)
    const [eraOfB, numberOfB] = parse(b)
    return eraOfA === eraOfB ? numberOfA - numberOfB : Number.NaN
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    const { number: feed } = this.#opening
    this.#link.send({ kind: 'close', feed }, () => {})
    this.#link.requests.abandon(new Error('The channel has been closed.'), feed)
    this.#link.forget(feed)
  }

  /**
   * Hands entries to the listener, and asks the primary for more once the listener is ready for
   * them.
   */
  async #hand(batch: Extract<FromPrimary, { kind: 'entries' }>): Promise<void> {
    const pauses: Promise<void>[] = []
    for (const entry of batch.entries) {
      if (this.#closed) break
      const pause = this.#listener.entry(entry)
      if (pause !== undefined) pauses.push(pause)
    }
    if (pauses.length > 0) await Promise.all(pauses)
    this.#link.taken(batch)
  }

  #become(state: FeedState, cause?: Error): void {
    if (this.#closed || this.#state === state) return
    this.#state = state
    if (cause === undefined) this.#listener.state(state)
    else this.#listener.state(state, cause)
  }

  #checkOpen(): void {
    if (this.#closed) throw new TcpSseError('ERR_HUB_DOWN', 'The channel has been closed.')
  }
}

function parse(position: Position): [era: string, number: number] {
  const [, era = '', digits] = /^([^.]+)\.(0|[1-9]\d{0,14})$/.exec(position) ?? []
  return [era, digits === undefined ? Number.NaN : Number(digits)]
}
