// Many streams that are sent the same events.
import { AsyncResource } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import { counters } from '../internal/counters.js'
import { Deferred } from '../internal/deferred.js'
import { channelBroadcast } from '../internal/diagnostics.js'
import { TcpSseError } from '../internal/errors.js'
import { rethrowLater } from '../internal/rethrow.js'
import { inRootContext, monotonicNow, nextTurn } from '../internal/scheduling.js'
import { brand } from '../internal/shared.js'
import { checkOptions } from '../internal/validate.js'
import {
  type EncodedEvent,
  type EventInput,
  encodeEvent,
  isEncoded,
  type Serialize,
} from '../sse/encode.js'
import type { EventStream } from '../stream/event-stream.js'
import type { LiveStream } from '../stream/live-stream.js'
import { isStream, notAStream } from '../stream/live-streams.js'
import type { Farewell } from '../stream/shutdown-message.js'
import { Broadcast, type BroadcastOptions, type BroadcastResult } from './broadcast.js'
import type { History } from './history.js'
import { type Hub, LocalHub, type Message } from './hub.js'
import { type Member, Members } from './members.js'
import {
  broadcastChecks,
  type ChannelOptions,
  channelChecks,
  type SubscribeOptions,
  type Subscription,
  subscribeChecks,
} from './options.js'
import { Turns } from './turns.js'

export type { ChannelOptions, SubscribeOptions, Subscription } from './options.js'

/** What channels publish, by the name of the diagnostics channel. */
export interface ChannelMessages {
  /** A broadcast is out to the last subscriber. */
  readonly 'tcp-sse:channel:broadcast': {
    /** Where it was broadcast. */
    readonly channel: Channel
    /** What became of it. */
    readonly result: BroadcastResult
    /** Bytes of the event, as each subscriber gets them. */
    readonly bytes: number
    /** Milliseconds from the hub's delivery until the last subscriber's turn was over. */
    readonly took: number
  }
}

/**
 * Makes a channel.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`
 * @example
 * const news = createChannel({ history: new MemoryHistory() })
 * http.createServer((req, res) => void news.subscribe(createEventStream(req, res)))
 * await news.broadcast({ id: '1', data: 'hello, all' })
 */
export function createChannel(options: ChannelOptions = {}): Channel {
  return new Channel(options)
}

/**
 * Streams that are sent the same events. A stream leaves by itself when it ends. Made by `createChannel`.
 *
 * @example
 * const { sent, queued, dropped, closed } = await news.broadcast({ data: 'to all but one' }, { except: stream })
 * for await (const each of news) if (each.verdict === 'slow') news.unsubscribe(each)
 */
export class Channel {
  readonly #history: History | undefined
  readonly #hub: Hub
  readonly #serialize: Serialize | undefined
  readonly #turns: Turns
  readonly #members = new Members()
  /** Own broadcasts that the hub has not brought back yet, by token. */
  readonly #published = new Map<string, Published>()
  readonly #prefix = `${randomUUID()}:`
  readonly #leave: () => void
  #nextToken = 0
  /** How many broadcasts have come from the hub. */
  #count = 0
  /** The id of the last of them that had one. */
  #lastId = ''
  #last: Promise<unknown> = Promise.resolve()
  #closed: Promise<void> | undefined
  /** For whoever comes after `drain`. */
  #farewell: Farewell | undefined

  /** @internal */
  constructor(options: ChannelOptions) {
    const {
      history,
      hub,
      serialize,
      sliceBudget = 8,
    } = checkOptions(options, channelChecks, 'ChannelOptions')
    this.#history = history
    this.#hub = hub ?? new LocalHub()
    this.#serialize = serialize
    this.#turns = new Turns(sliceBudget)
    this.#leave = this.#hub.listen((message) => this.#deliver(message))
  }

  /** How many streams are subscribed. */
  get size(): number {
    return this.#members.size
  }

  /**
   * Adds a stream. With a history and a `Last-Event-ID` it is first sent what it has missed, then everything new, each
   * event once. One that was a subscriber before has missed what came since. Events without an id are not sent again: no
   * client can say whether it has had them. A stream that has ended is not added; one that comes when the channel has been
   * drained is ended.
   *
   * @throws {TcpSseError} `ERR_NOT_A_STREAM`, `ERR_SUBSCRIBED`, `ERR_CHANNEL_CLOSED`, `ERR_OPTION_*`
   */
  subscribe(stream: EventStream, options: SubscribeOptions = {}): Subscription {
    if (!isStream(stream)) {
      const message = notAStream(stream, 'subscribe(stream) needs an EventStream.')
      throw new TcpSseError('ERR_NOT_A_STREAM', message)
    }
    const given = checkOptions(options, subscribeChecks, 'SubscribeOptions')
    const filter = given.filter && AsyncResource.bind(given.filter)
    const lastEventId = given.lastEventId ?? this.#members.lastIdOf(stream) ?? stream.lastEventId
    this.#checkOpen()
    if (this.#members.find(stream) !== undefined) {
      throw new TcpSseError('ERR_SUBSCRIBED', 'The stream is subscribed to this channel already.')
    }
    if (this.#farewell !== undefined) stream.finish('drained', this.#farewell.events())
    if (stream.state !== 'open') return { replay: 'closed', replayed: 0 }
    const { subscription, lastId } = this.#replay(stream, filter, lastEventId)
    if (stream.state !== 'open') return { ...subscription, replay: 'closed' }
    const startId = this.#lastId || lastId
    this.#members.add(stream, { filter, joinedAfter: this.#count, startId })
    return subscription
  }

  /** Takes a stream out; it stays open. Returns whether it was in. */
  unsubscribe(stream: EventStream): boolean {
    const member = isStream(stream) ? this.#members.find(stream) : undefined
    if (member === undefined) return false
    this.#members.leave(member, this.#lastIdFor(member))
    return true
  }

  /** The id of the last event that a subscriber has been sent: slices of a broadcast may not have come to it yet. */
  #lastIdFor(member: Member): string {
    const next = this.#turns.pending.find((broadcast) => broadcast.isBefore(member))
    return (next === undefined ? this.#lastId : next.previousId) || member.startId
  }

  /**
   * Sends an event to all subscribers. It is encoded once, and all share its bytes. One that is slow or dead delays nobody.
   * Settles once the event is out to the last; broadcasts keep their order for each stream.
   *
   * @throws {TcpSseError} `ERR_EVENT_INVALID`, `ERR_CHANNEL_CLOSED`, `ERR_OPTION_*`, as a rejection and before anything is sent;
   * it rejects also with what the serializer, `filter` or the hub throws
   */
  async broadcast(
    event: EventInput | EncodedEvent,
    options: BroadcastOptions = {},
  ): Promise<BroadcastResult> {
    this.#checkOpen()
    const { filter, except } = checkOptions(options, broadcastChecks, 'BroadcastOptions')
    // Slices run in the root context, and this callback is the caller's.
    const whom = { filter: filter && AsyncResource.bind(filter), except }
    const encoded = isEncoded(event) ? event : encodeEvent(event, this.#serialize)
    const message = { event: encoded, token: `${this.#prefix}${this.#nextToken++}` }
    return this.#publish(message, whom)
  }

  /** Ends the channel and the streams of all its subscribers, once the broadcasts under way are out. */
  close(): Promise<void> {
    this.#closed ??= inRootContext(() => this.#close())
    return this.#closed
  }

  /** The subscribers, as of now; those that leave meanwhile are left out. Gives the event loop its turn now and then. */
  async *[Symbol.asyncIterator](): AsyncGenerator<EventStream, void, undefined> {
    let count = 0
    for (const member of this.#members.all()) {
      if (!member.left) yield member.stream
      count += 1
      if (count % BETWEEN_TURNS === 0) await nextTurn()
    }
  }

  /** @internal */
  stopSubscriptions(farewell: Farewell): LiveStream[] {
    this.#farewell = farewell
    return this.#members.all().map(({ stream }) => stream)
  }

  /**
   * Hands the stream what it has missed. The caller subscribes it in the same step.
   *
   * @returns also the id of the last event that it has then
   */
  #replay(
    stream: LiveStream,
    filter: SubscribeOptions['filter'],
    lastEventId: string,
  ): { subscription: Subscription; lastId: string } {
    if (lastEventId === '' || this.#history === undefined) {
      // Without a history it is known at least whether something was missed.
      const missed = lastEventId !== '' && lastEventId !== this.#lastId
      const replay = missed ? 'unknown' : 'complete'
      return { subscription: { replay, replayed: 0 }, lastId: lastEventId }
    }
    const asked = new Map<EncodedEvent, boolean>()
    for (;;) {
      const before = this.#count
      const { outcome: replay, events } = this.#history.since(lastEventId)
      const lastId = events.at(-1)?.id || lastEventId
      try {
        const missed = filter === undefined ? events : events.filter(once(filter, asked))
        // A filter that broadcasts: the stream is not subscribed yet, so it is sent that from the history too.
        if (before !== this.#count) continue
        stream.writer.replay(missed)
        return { subscription: { replay, replayed: missed.length }, lastId }
      } catch (error) {
        stream.fail(error)
        return { subscription: { replay, replayed: 0 }, lastId }
      }
    }
  }

  async #publish(message: Message, whom: BroadcastOptions): Promise<BroadcastResult> {
    const published = { whom, tally: new Deferred<BroadcastResult>() }
    this.#published.set(message.token, published)
    // The hub may bring the message back, and a filter throw, before it says that it has published it: not unhandled.
    published.tally.promise.catch(() => {})
    try {
      await this.#hub.publish(message)
      return await published.tally.promise
    } catch (error) {
      // For `close`, where the hub never brings it back.
      published.tally.reject(error)
      throw error
    } finally {
      this.#published.delete(message.token)
    }
  }

  /** From the hub. Remembered first: whoever subscribes from now on finds it in the history. */
  #deliver({ event, token }: Message): void {
    const own = this.#published.get(token)
    const { id = '' } = event
    try {
      if (id !== '') this.#history?.append(event)
    } catch (error) {
      if (own === undefined) rethrowLater(error)
      else own.tally.reject(error)
      return
    }
    this.#count += 1
    const job = {
      event,
      number: this.#count,
      previousId: this.#lastId,
      members: this.#members,
    }
    if (id !== '') this.#lastId = id
    const broadcast = new Broadcast(job, own?.whom ?? {})
    this.#last = inRootContext(() => broadcast.done.catch(() => {}))
    counters.broadcasts += 1
    if (channelBroadcast.hasSubscribers) this.#announce(broadcast, event.bytes.length)
    own?.tally.resolve(broadcast.done)
    this.#turns.add(broadcast)
  }

  /** A filter that threw has kept the event from some, and the others have it: told all the same. */
  #announce({ done, tally }: Broadcast, bytes: number): void {
    const startedAt = monotonicNow()
    const tell = (): void => {
      const took = monotonicNow() - startedAt
      channelBroadcast.publish({
        channel: this,
        result: tally,
        bytes,
        took,
      } satisfies ChannelMessages['tcp-sse:channel:broadcast'])
    }
    done.then(tell, tell)
  }

  async #close(): Promise<void> {
    await Promise.allSettled([...this.#published.values()].map(({ tally }) => tally.promise))
    this.#leave()
    await this.#last
    const ends: Promise<unknown>[] = []
    for await (const stream of this) ends.push(stream.close())
    await Promise.all(ends)
  }

  #checkOpen(): void {
    if (this.#closed === undefined) return
    throw new TcpSseError('ERR_CHANNEL_CLOSED', 'The channel has been closed.')
  }
}

brand(Channel, 'Channel')

/** The filter, asked for each event once only. */
function once(filter: (event: EncodedEvent) => boolean, asked: Map<EncodedEvent, boolean>) {
  return (event: EncodedEvent): boolean => {
    const answer = asked.get(event) ?? filter(event)
    asked.set(event, answer)
    return answer
  }
}

const BETWEEN_TURNS = 256

interface Published {
  readonly whom: BroadcastOptions
  readonly tally: Deferred<BroadcastResult>
}
