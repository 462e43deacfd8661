// A client on its way into a channel that has a hub: what it has missed first, then what is new, without a hole or a double.
//
// Everything up to one position has been handed to the client. As soon as the window holds what follows that position, the
// stream becomes a member in one synchronous step, and goes on with the event behind it. Until then the log is read, page
// by page, at the client's pace.
import type { Position } from '../hub/hub.js'
import { counters, countUp } from '../internal/counters.js'
import { Deferred } from '../internal/deferred.js'
import type { EncodedEvent } from '../sse/encode.js'
import type { LiveStream } from '../stream/live-stream.js'
import type { EndListener } from '../stream/writer.js'
import type { Replayed, Subscription, SubscriptionOutcome } from './options.js'
import type { ReplayPage } from './replay-reader.js'
import type { Window } from './window.js'

/** Why a client is told that it may have missed something. */
export type LossReason = 'partial' | 'unknown' | 'unavailable' | 'lost'

/** The channel that a client joins. */
export interface JoinHost {
  /** `undefined` until the feed has started. */
  readonly window: Window | undefined
  /** Settles when the cursor moves, or the log turns out to be another one. */
  moved(): Promise<void>
  /** Calls back when the feed should have started. Returns what cancels it. */
  whenLate(callback: () => void): () => void
  positionOf(id: string): Position | undefined
  page(after: Position, upTo: Position): Promise<ReplayPage>
  /** Makes it a member that goes on behind this id. */
  admit(join: Join, id: string): Replayed
  tellLoss(stream: LiveStream, reason: LossReason): void
  /** Tells a client this id. */
  prime(stream: LiveStream, id: string): void
  left(join: Join): void
}

/** One client's subscription. */
export class Join implements Subscription, EndListener {
  readonly stream: LiveStream
  readonly filter: ((event: EncodedEvent) => boolean) | undefined
  readonly #host: JoinHost
  readonly #lastEventId: string
  readonly #ready = new Deferred<Replayed>()
  #replay: SubscriptionOutcome | 'pending' = 'pending'
  /** What is known so far. */
  #outcome: SubscriptionOutcome = 'complete'
  #replayed = 0
  /** Everything up to here has been handed over. */
  #position: Position | undefined
  #over = false

  constructor(host: JoinHost, stream: LiveStream, lastEventId: string, filter: Join['filter']) {
    this.#host = host
    this.stream = stream
    this.#lastEventId = lastEventId
    this.filter = filter
  }

  get replay(): SubscriptionOutcome | 'pending' {
    return this.#replay
  }

  get replayed(): number {
    return this.#replayed
  }

  get ready(): Promise<Replayed> {
    return this.#ready.promise
  }

  /** Everything up to here has been handed to the client; `undefined` until the log has been asked. */
  get position(): Position | undefined {
    return this.#position
  }

  /** Subscribes at once where the log need not be asked, and else goes on by itself. */
  begin(): void {
    this.stream.writer.onEnd(this)
    const { window } = this.#host
    if (window !== undefined && this.#joinAtOnce(window)) return
    this.#run().catch((error: unknown) => {
      this.stream.fail(error)
      this.#finish('closed')
    })
  }

  onEnd(): void {
    this.#over = true
    this.#finish('closed')
  }

  /** Takes it out; the stream stays open. */
  leave(): void {
    this.stream.writer.offEnd(this)
    this.onEnd()
  }

  #joinAtOnce(window: Window): boolean {
    if (this.#lastEventId === '') {
      this.#prime(window, window.top)
      return true
    }
    const position = this.#host.positionOf(this.#lastEventId)
    if (position === undefined || !window.isPosition(position))
      this.#lose(window, 'unknown', window.top)
    else if (window.knows(position)) this.#admit(window, position)
    else return false
    return true
  }

  async #run(): Promise<void> {
    const window = this.#host.window ?? (await this.#started())
    if (this.#over || this.#joinAtOnce(window)) return
    this.#position = this.#host.positionOf(this.#lastEventId) as Position
    const cameAt = window.top
    let known = false
    while (!this.#over) {
      const place = window.placeOf(this.#position)
      if (known && place === 'within') return this.#admit(window, this.#position)
      if (known && place === 'ahead') {
        // It comes from a process that is ahead of this one, and has all that there is here.
        this.#settle(this.#outcome)
        await this.#host.moved()
        continue
      }
      const page = await this.#page(this.#position, window.top)
      if (this.#over) return
      if (page === undefined && place !== 'ahead') return this.#lose(window, 'unavailable', cameAt)
      if (page === undefined) {
        // It may have what the cursor has not come to: what comes until then it must not get twice.
        this.#tellLoss('unavailable')
        known = true
        continue
      }
      if (page.outcome === 'unknown') return this.#lose(window, 'unknown', cameAt)
      known = true
      // Of an era that the feed has yet to come to.
      if (window.placeOf(this.#position) === 'elsewhere') await this.#host.moved()
      else await this.#hand(page)
    }
  }

  /** The feed has no position yet. */
  async #started(): Promise<Window> {
    const cancel = this.#host.whenLate(() => {
      if (this.#over) return
      this.#tellLoss('unavailable')
      this.#settle('unavailable')
    })
    for (;;) {
      await this.#host.moved()
      const { window } = this.#host
      if (window === undefined && !this.#over) continue
      cancel()
      return window as Window
    }
  }

  async #page(after: Position, upTo: Position): Promise<ReplayPage | undefined> {
    try {
      return await this.#host.page(after, upTo)
    } catch {
      // The engine is away: that is an outcome.
      return undefined
    }
  }

  async #hand({ outcome, events, reached }: ReplayPage): Promise<void> {
    if (outcome === 'partial') {
      this.#tellLoss('partial')
    }
    const { filter } = this
    const chosen = filter === undefined ? events : events.filter((event) => filter(event))
    this.#position = reached
    if (this.#over) return
    this.stream.writer.replay(chosen)
    this.#replayed += chosen.length
    await this.stream.writable()
  }

  /** What it has missed will not come: it is told, and goes on with what is new. */
  #lose(window: Window, reason: 'unknown' | 'unavailable', cameAt: Position): void {
    this.#tellLoss(reason)
    // Not before what it says that it has: the answer may be about another log than the window.
    this.#prime(window, window.latest([cameAt, this.#position]) ?? window.top)
  }

  /** The first loss is the outcome; each is told. */
  #tellLoss(reason: 'partial' | 'unknown' | 'unavailable'): void {
    if (this.#outcome === 'complete') this.#outcome = reason
    this.#host.tellLoss(this.stream, reason)
  }

  /** Goes on from a position that the client has not heard of, and tells it: it may be cut off before the next event. */
  #prime(window: Window, position: Position): void {
    this.#host.prime(this.stream, window.idAtOrBefore(position))
    this.#admit(window, position)
  }

  #admit(window: Window, position: Position): void {
    if (this.#over) return
    this.stream.writer.offEnd(this)
    const { replay, replayed } = this.#host.admit(this, window.idAtOrBefore(position))
    this.#replayed += replayed
    this.#over = true
    this.#finish(replay === 'closed' ? 'closed' : this.#outcome)
  }

  #finish(outcome: SubscriptionOutcome): void {
    this.#host.left(this)
    this.#settle(outcome)
  }

  #settle(outcome: SubscriptionOutcome): void {
    if (this.#replay !== 'pending') return
    this.#replay = outcome
    countUp(counters.resumed, outcome)
    this.#ready.resolve({ replay: outcome, replayed: this.#replayed })
  }
}
