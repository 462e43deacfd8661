// Follows one channel's subject from a cursor on, with a consumer that is made again after each
// irregularity: its count skips a message, heartbeats stop, or the connection was lost. Each time,
// the follower checks that the cursor's message still exists.
import { rethrowLater } from '../../internal/rethrow.js'
import { callAfter, callEvery, monotonicNow } from '../../internal/scheduling.js'
import { backoff } from '../failures.js'
import type { FeedListener, FeedState, Keep } from '../hub.js'
import type { Api, Stored, StreamState } from './api.js'
import type { Connection, Message } from './client.js'
import { controlOf, deliveryOf, inbox } from './delivery.js'
import type { Settings } from './options.js'
import { decode, encodeMarker, entryOf, placeIn } from './payload.js'
import { type Place, positionOf } from './position.js'
import { isAt, Trail } from './trail.js'

/** What a follower needs from its hub. */
export interface FollowerOptions {
  readonly api: Api
  readonly connection: Connection
  readonly settings: Settings
  readonly subject: string
  readonly listener: FeedListener
  readonly keep: Keep
  /** Publishes a marker, which has no event. */
  readonly mark: (payload: string, token: string) => Promise<unknown>
  readonly onEra: (era: string) => void
  /** Called if the server does not answer although there is a connection. */
  readonly onSilence: () => void
}

/** One consumer and its subscription. */
interface Run {
  stop: () => void
  /** The consumer's count of the messages that were received. */
  count: number
  /** Messages that wait until the cursor has been checked. */
  waiting: Message[] | undefined
}

/** The reading half of a feed. */
export class Follower {
  /** `undefined` until the log has been opened. */
  place: Place | undefined
  readonly #options: FollowerOptions
  readonly #trail = new Trail()
  /** The server's time of the cursor's message, in milliseconds. */
  #at = 0
  /** Whether the cursor was moved, and so is not the position of a message. */
  #moved = false
  #state: FeedState = 'catching-up'
  #run: Run | undefined
  #attempt = 0
  #starting = 0
  #pauses = 0
  #closed = false
  #heardAt = 0
  #cancelRetry: (() => void) | undefined
  readonly #cancelWatch: () => void

  constructor(options: FollowerOptions) {
    this.#options = options
    this.#cancelWatch = callEvery(options.settings.heartbeat / 2, () => this.#watch())
    void this.#start()
  }

  /** Starts again at the cursor. */
  restart(): void {
    this.#stop()
    if (!this.#closed && this.#pauses === 0) void this.#start()
  }

  down(cause: Error): void {
    this.#stop()
    this.#tell('down', cause)
  }

  close(): void {
    this.#closed = true
    this.#cancelWatch()
    this.#stop()
  }

  #stop(): void {
    this.#starting += 1
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
    this.#run?.stop()
    this.#run = undefined
  }

  async #start(): Promise<void> {
    const start = ++this.#starting
    const stale = (): boolean => this.#closed || start !== this.#starting
    const { api, keep, onEra } = this.#options
    try {
      const stream = await api.ensure(keep.maxEvents)
      if (stale()) return
      if (this.place === undefined) await this.#open(stream, stale)
      else await this.#verify(stream, stale)
      if (stale()) return
      // Not earlier, so that events which this feed publishes come after its start.
      onEra(stream.era)
      await this.#follow(stale)
      this.#attempt = 0
    } catch (error) {
      if (stale()) return
      this.#tell('down', error as Error)
      if ((error as Error).name === 'TimeoutError') this.#options.onSilence()
      const pause = backoff(this.#attempt++, this.#options.settings.retryWithin)
      this.#cancelRetry = callAfter(pause, () => this.restart())
    }
  }

  /**
   * Opens the log. A log without messages gets a marker, so that each position is the position of a
   * message.
   */
  async #open(stream: StreamState, stale: () => boolean): Promise<void> {
    const { api, subject, listener } = this.#options
    let top = await api.message({ last_by_subj: subject })
    while (top === undefined) {
      await this.#mark()
      top = await api.message({ last_by_subj: subject })
    }
    if (stale()) return
    this.place = placeIn(stream.era, top.sequence, top)
    this.#at = top.time
    this.#trail.add(this.place)
    listener.start(positionOf(this.place))
  }

  #mark(): Promise<unknown> {
    const token = inbox()
    return this.#options.mark(encodeMarker(token), token)
  }

  /** Reports a gap if the cursor's message is gone, or if another message has its number. */
  async #verify(stream: StreamState, stale: () => boolean): Promise<void> {
    const { place } = this
    if (place === undefined) return
    if (stream.era !== place.era) {
      const { api, subject } = this.#options
      if ((await api.message({ last_by_subj: subject })) === undefined) await this.#mark()
      if (!stale()) this.#gap({ era: stream.era, sequence: 0, check: '0' })
      return
    }
    if (this.#moved && stream.last >= place.sequence) return
    const message = await this.#lookUp(place.sequence)
    if (isAt(message, place)) return
    // If the message is missing but the stream goes on beyond it, it was trimmed. Otherwise the
    // server has lost it, and may have reused its number.
    const lost = message !== undefined || stream.last < place.sequence
    const next = lost ? await this.#common(stream) : place
    if (!stale()) this.#gap({ ...next, check: '0' })
  }

  /** Finds the last place that the server's stream and the trail have in common. */
  async #common(stream: StreamState): Promise<Place> {
    const { era } = stream
    const kept = await this.#trail.lastKept((sequence) => this.#lookUp(sequence))
    if (kept !== undefined) return kept
    const first = await this.#options.api.message({ next_by_subj: this.#options.subject, seq: 1 })
    // The server's oldest message is newer than the last one received: nothing of the earlier
    // stream is left.
    const fresh = first === undefined || first.time > this.#at
    return { era, sequence: fresh ? 0 : stream.last, check: '0' }
  }

  /** The message with a number, if it is of this channel. */
  async #lookUp(sequence: number): Promise<Stored | undefined> {
    const { api, subject } = this.#options
    const message = sequence === 0 ? undefined : await api.message({ seq: sequence })
    return message?.subject === subject ? message : undefined
  }

  #gap(next: Place): void {
    const after = this.place as Place
    this.place = next
    this.#moved = true
    this.#trail.clear()
    this.#options.listener.gap(positionOf(after), positionOf(next))
  }

  async #follow(stale: () => boolean): Promise<void> {
    const { api, connection, settings, subject } = this.#options
    const deliver = inbox()
    const run: Run = { stop: () => subscription.unsubscribe(), count: 0, waiting: undefined }
    const subscription = connection.subscribe(deliver, {
      callback: (error, message) => {
        if (error === null && this.#run === run) this.#take(run, message)
      },
    })
    this.#run = run
    this.#heardAt = monotonicNow()
    const { name, pending } = await api.consumer({
      deliver_subject: deliver,
      filter_subject: subject,
      deliver_policy: 'by_start_sequence',
      opt_start_seq: (this.place?.sequence ?? 0) + 1,
      ack_policy: 'none',
      max_deliver: 1,
      idle_heartbeat: settings.heartbeat * 1_000_000,
      flow_control: true,
    })
    const stopped = stale() || this.#run !== run
    if (stopped) api.forget(name)
    else {
      run.stop = () => {
        subscription.unsubscribe()
        api.forget(name)
      }
      if (pending === 0) this.#tell('live')
      else if (run.count === 0) this.#tell('catching-up')
    }
  }

  #take(run: Run, message: Message): void {
    this.#heardAt = monotonicNow()
    const control = controlOf(this.#options.connection, message)
    if (control !== undefined) {
      const missed = control.sent !== undefined && control.sent > run.count
      if (missed) this.restart()
      return
    }
    const { count, pending } = deliveryOf(message)
    if (count !== run.count + 1) {
      this.restart()
      return
    }
    run.count = count
    if (run.waiting !== undefined) run.waiting.push(message)
    else if (pending + 2 >= this.#options.api.roomFor(this.#options.keep.maxEvents)) {
      void this.#check(run, message)
    } else this.#hand(message)
  }

  /**
   * Checks the cursor when so many messages follow that those right after it may have been trimmed.
   */
  async #check(run: Run, message: Message): Promise<void> {
    run.waiting = [message]
    try {
      const { sequence: at } = this.place as Place
      const there = this.#moved || isAt(await this.#lookUp(at), this.place)
      if (this.#run !== run) return
      const { sequence } = deliveryOf(message)
      if (!there) this.#gap({ ...(this.place as Place), sequence: sequence - 1, check: '0' })
      const { waiting } = run
      run.waiting = undefined
      for (const each of waiting) if (this.#run === run) this.#hand(each)
    } catch {
      if (this.#run === run) this.restart()
    }
  }

  #hand(message: Message): void {
    const { sequence, pending, time } = deliveryOf(message)
    const { era } = this.place as Place
    const payload = decode(message.string())
    this.place = placeIn(era, sequence, payload)
    this.#moved = false
    this.#at = time
    this.#trail.add(this.place)
    const entry = entryOf(this.place, payload)
    const pause = entry && this.#options.listener.entry(entry)
    if (pause !== undefined) this.#pause(pause)
    if (this.#run !== undefined && pending === 0) this.#tell('live')
  }

  /** Removes the consumer: for a listener that is behind, only the stream keeps messages. */
  #pause(pause: Promise<void>): void {
    this.#stop()
    this.#pauses += 1
    pause.catch(rethrowLater).finally(() => {
      this.#pauses -= 1
      if (this.#pauses === 0) this.restart()
    })
  }

  #watch(): void {
    if (this.#run === undefined) return
    const silence = monotonicNow() - this.#heardAt
    if (silence > 2.5 * this.#options.settings.heartbeat) this.restart()
  }

  #tell(state: FeedState, cause?: Error): void {
    if (this.#closed || state === this.#state) return
    this.#state = state
    if (cause === undefined) this.#options.listener.state(state)
    else this.#options.listener.state(state, cause)
  }
}
