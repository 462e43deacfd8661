// A client that joins a channel with a hub. It gets what it has missed first, then the new events,
// without a gap and without repetitions.
//
// The client has been sent everything up to a position. Once the window holds the events after that
// position, the stream becomes a member in one synchronous step and continues from there. Until
// then the log is read page by page, at the client's pace.
import type { Position } from '../hub/hub.js'
import { counters, countUp } from '../internal/counters.js'
import { Deferred } from '../internal/deferred.js'
import type { EncodedEvent } from '../sse/encode.js'
import type { LiveStream } from '../stream/live-stream.js'
import type { EndListener } from '../stream/writer.js'
import type { Replayed, Subscription, SubscriptionOutcome } from './options.js'
import type { ReplayPage } from './replay-reader.js'
import type { Window } from './window.js'

/** Why a client may have missed something. */
export type LossReason = 'partial' | 'unknown' | 'unavailable' | 'lost'

/** The channel that a client joins. */
export interface JoinHost {
  /** `undefined` until the feed has started. */
  readonly window: Window | undefined
  /** Settles when the cursor moves, or when the log turns out to be another one. */
  moved(): Promise<void>
  /** Calls back if the feed has not started in time. Returns a function that cancels this. */
  whenLate(callback: () => void): () => void
  positionOf(id: string): Position | undefined
  page(after: Position, upTo: Position): Promise<ReplayPage>
  /** Makes the stream a member that continues after this id. */
  admit(join: Join, id: string): Replayed
  tellLoss(stream: LiveStream, reason: LossReason): void
  /** Sends a client this id without an event. */
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
  /** The outcome so far. */
  #outcome: SubscriptionOutcome = 'complete'
  #replayed = 0
  /** The client has been sent everything up to this position. */
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

  /**
   * The client has been sent everything up to this position. `undefined` until the log has been
   * read.
   */
  get position(): Position | undefined {
    return this.#position
  }

  /** Subscribes at once if the log need not be read. Otherwise continues asynchronously. */
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

  /** Cancels the joining and leaves the stream open. */
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
        // The client comes from a process that is ahead of this one, so it has all events that are
        // here.
        this.#settle(this.#outcome)
        await this.#host.moved()
        continue
      }
      const page = await this.#page(this.#position, window.top)
      if (this.#over) return
      if (page === undefined && place !== 'ahead') return this.#lose(window, 'unavailable', cameAt)
      if (page === undefined) {
        // The client may already have events that the cursor has not reached. It must not get them
        // twice.
        this.#tellLoss('unavailable')
        known = true
        continue
      }
      if (page.outcome === 'unknown') return this.#lose(window, 'unknown', cameAt)
      known = true
      // The position is of an era that the feed has not reached yet.
      if (window.placeOf(this.#position) === 'elsewhere') await this.#host.moved()
      else await this.#hand(page)
    }
  }

  /** Waits until the feed has a position. */
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
      // The engine is unavailable. The caller reports that as an outcome.
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

  /**
   * The missed events are not available. Sends the client the gap event, and continues with new
   * events.
   */
  #lose(window: Window, reason: 'unknown' | 'unavailable', cameAt: Position): void {
    this.#tellLoss(reason)
    // Not before the position that the client has: the answer may be about another log than the
    // window.
    this.#prime(window, window.latest([cameAt, this.#position]) ?? window.top)
  }

  /** Sends a gap event. The first loss is the outcome. */
  #tellLoss(reason: 'partial' | 'unknown' | 'unavailable'): void {
    if (this.#outcome === 'complete') this.#outcome = reason
    this.#host.tellLoss(this.stream, reason)
  }

  /**
   * Continues from a position that the client does not know. Sends it the id, because it may be cut
   * off before the next event.
   */
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
