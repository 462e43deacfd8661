// The subscribers in this process of a channel with a hub, and the delivery of the feed's entries
// to them.
import type { Entry, Feed, FeedListener, FeedState, Position } from '../hub/hub.js'
import { counters, countUp } from '../internal/counters.js'
import { Deferred } from '../internal/deferred.js'
import { channelGap, channelState } from '../internal/diagnostics.js'
import { isolated, rethrowLater } from '../internal/rethrow.js'
import { callAfter, inRootContext } from '../internal/scheduling.js'
import { type EncodedEvent, encodeEvent } from '../sse/encode.js'
import type { LiveStream } from '../stream/live-stream.js'
import type { ShutdownMessage } from '../stream/shutdown-message.js'
import type { BroadcastOptions } from './broadcast.js'
import { Channel } from './channel.js'
import {
  type ChannelGap,
  type ChannelStateMessage,
  type HubChannelOptions,
  keepOf,
} from './hub-options.js'
import { IdTag } from './id-tag.js'
import { primer } from './ids.js'
import { Join, type JoinHost, type LossReason } from './joining.js'
import type { Replayed, SubscribeOptions, Subscription } from './options.js'
import { type ReplayPage, type ReplayReader, replayReader } from './replay-reader.js'
import { spreadEnds } from './spread-ends.js'
import { Window, type WindowLimits } from './window.js'

/** Limits of the events of each channel that a process keeps itself. */
const WINDOW_EVENTS = 1_000
const WINDOW_BYTES = 4 * 1024 * 1024
/** Entries that may be in delivery to subscribers before the feed is asked to pause. */
const UNDER_WAY = 64

/** Returns the broadcast options of an entry that this process has published. */
export type WhomOf = (token: string) => BroadcastOptions | undefined

/**
 * The subscribers. Those that are at the feed's cursor are members of a local channel. The others
 * are joining.
 */
export class HubMembers implements JoinHost, FeedListener {
  readonly tag: IdTag
  readonly local: Channel
  readonly feed: Feed
  readonly #options: HubChannelOptions
  readonly #whomOf: WhomOf
  readonly #replays: ReplayReader
  readonly #limits: WindowLimits
  readonly #joins = new Map<LiveStream, Join>()
  /** The last event ids of streams that left while they were joining. */
  readonly #lastIds = new WeakMap<LiveStream, string>()
  #window: Window | undefined
  #state: FeedState = 'catching-up'
  #closed = false
  #moved: Deferred<void> | undefined
  #underWay = 0

  constructor(options: HubChannelOptions, owner: { readonly size: number }, whomOf: WhomOf) {
    this.#options = options
    this.#whomOf = whomOf
    const { hub, name, history, sliceBudget } = options
    this.tag = new IdTag(hub.scope, name)
    this.#replays = replayReader(hub)
    const keep = keepOf(history)
    this.#limits = {
      maxEvents: Math.min(keep.maxEvents, WINDOW_EVENTS),
      maxBytes: WINDOW_BYTES,
    }
    const window = {
      append: (event: EncodedEvent) => this.#window?.append(event),
      since: (id: string) => this.#window?.since(id) ?? UNKNOWN,
    }
    this.local = new Channel({ history: window, sliceBudget }, owner)
    countUp(counters.feeds, this.#state)
    // In the root context: connections and loops of the hub must not keep a request's store.
    this.feed = inRootContext(() => hub.open(name, this, keep))
  }

  get size(): number {
    return this.local.size + this.#joins.size
  }

  get feedState(): FeedState {
    return this.#state
  }

  get window(): Window | undefined {
    return this.#window
  }

  has(stream: LiveStream): boolean {
    return this.#joins.has(stream) || this.local.has(stream)
  }

  /** The streams that are joining. */
  joining(): LiveStream[] {
    return [...this.#joins.keys()]
  }

  subscribe(
    stream: LiveStream,
    lastEventId: string | undefined,
    filter: SubscribeOptions['filter'],
  ): Subscription {
    const lastId = lastEventId ?? this.#lastIds.get(stream) ?? this.local.lastIdOf(stream)
    this.#lastIds.delete(stream)
    const join = new Join(this, stream, lastId ?? stream.lastEventId, filter)
    this.#joins.set(stream, join)
    join.begin()
    return join
  }

  unsubscribe(stream: LiveStream): boolean {
    const join = this.#joins.get(stream)
    if (join === undefined) return this.local.unsubscribe(stream)
    if (join.position !== undefined) this.#lastIds.set(stream, this.tag.idOf(join.position))
    join.leave()
    return true
  }

  stopSubscriptions(shutdownMessage: ShutdownMessage): LiveStream[] {
    return [...this.joining(), ...this.local.stopSubscriptions(shutdownMessage)]
  }

  /** Stops the feed, and ends all streams. */
  close(): Promise<unknown> {
    this.#closed = true
    this.feed.close()
    countUp(counters.feeds, this.#state, -1)
    const ends = this.joining().map((stream) => stream.close())
    this.#tellMoved()
    return Promise.all([...ends, this.local.close()])
  }

  /** Sends an event to the subscribers of this process only. It is not stored. */
  sendHere(event: EncodedEvent, whom?: BroadcastOptions): void {
    this.local.broadcast(event, whom).catch((error: unknown) => rethrowLater(error))
    if (whom === undefined) for (const stream of this.joining()) stream.sendEncoded(event)
  }

  // Implements FeedListener. An engine may call from any context; nothing here belongs to a request.

  start(position: Position): void {
    const compare = (a: Position, b: Position): number => this.feed.compare(a, b)
    this.#window = new Window(position, this.tag, compare, this.#limits)
    this.#tellMoved()
  }

  entry(entry: Entry): void | Promise<void> {
    const done = inRootContext(() =>
      this.local.broadcast(this.tag.encode(entry), this.#whomOf(entry.token)),
    )
    this.#tellMoved()
    this.#underWay += 1
    const over = done
      // An error of the filter of a local broadcast. The call to `broadcast` may have settled long
      // ago.
      .then(NOTHING, (error: unknown) => rethrowLater(error))
      .then(() => {
        this.#underWay -= 1
      })
    return this.#underWay > UNDER_WAY ? over : undefined
  }

  gap(after: Position, next: Position): void {
    inRootContext(() => this.#passGap(after, next))
  }

  state(state: FeedState, cause?: Error): void {
    const previous = this.#state
    if (this.#closed || previous === state) return
    this.#state = state
    countUp(counters.feeds, previous, -1)
    countUp(counters.feeds, state)
    if (!channelState.hasSubscribers) return
    const { name } = this.#options
    const message: ChannelStateMessage = { name, state, previous, cause }
    inRootContext(() => channelState.publish(message))
  }

  // Implements JoinHost.

  moved(): Promise<void> {
    this.#moved ??= new Deferred()
    return this.#moved.promise
  }

  whenLate(callback: () => void): () => void {
    return callAfter(this.#resumeTimeout, callback)
  }

  positionOf(id: string): Position | undefined {
    return this.tag.positionOf(id)
  }

  page(after: Position, upTo: Position): Promise<ReplayPage> {
    const reading = {
      channel: this.#options.name,
      feed: this.feed,
      tag: this.tag,
      timeout: this.#resumeTimeout,
    }
    return this.#replays.page(reading, after, upTo)
  }

  admit({ stream, filter }: Join, id: string): Replayed {
    this.#joins.delete(stream)
    if (this.#closed || stream.state !== 'open') return { replay: 'closed', replayed: 0 }
    const { replay, replayed } = this.local.subscribe(stream, { filter, lastEventId: id })
    return { replay: replay === 'closed' ? 'closed' : 'complete', replayed }
  }

  tellLoss(stream: LiveStream, reason: LossReason): void {
    stream.sendEncoded(this.#lossEvent(reason))
  }

  prime(stream: LiveStream, id: string): void {
    stream.sendEncoded(primer(id))
  }

  left({ stream }: Join): void {
    this.#joins.delete(stream)
  }

  #passGap(after: Position, next: Position): void {
    counters.gaps += 1
    this.#window?.restart(next)
    this.#replays.forget(this.#options.name)
    const ids = { after: this.tag.idOf(after), next: this.tag.idOf(next) }
    const gap: ChannelGap = { name: this.#options.name, ...ids }
    if (channelGap.hasSubscribers) channelGap.publish(gap)
    const members = this.local.streams()
    if (this.#wantsClose(gap)) {
      // Unsubscribe at once. Otherwise they would get the events after the gap without knowing of
      // it.
      for (const stream of members) this.local.unsubscribe(stream)
      spreadEnds(members, this.#options.spreadOver ?? 10_000)
    } else {
      this.local.broadcast(this.#lossEvent('lost')).catch(NOTHING)
      this.local.broadcast(primer(gap.next)).catch(NOTHING)
    }
    this.#tellMoved()
  }

  get #resumeTimeout(): number {
    return this.#options.resumeTimeout ?? 5_000
  }

  #lossEvent(reason: LossReason): EncodedEvent {
    return encodeEvent({ event: this.#options.gapEvent ?? 'gap', data: { reason } })
  }

  #wantsClose(gap: ChannelGap): boolean {
    const { onGap } = this.#options
    if (typeof onGap !== 'function') return onGap === 'close'
    let answer: unknown
    isolated(() => {
      answer = onGap(gap)
    })
    return answer === 'close'
  }

  #tellMoved(): void {
    this.#moved?.resolve()
    this.#moved = undefined
  }
}

const UNKNOWN = { outcome: 'unknown', events: [] } as const
const NOTHING = (): void => {}
