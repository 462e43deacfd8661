// Sends the same events to many streams.
import { AsyncResource } from 'node:async_hooks'
import { counters } from '../internal/counters.js'
import { Deferred } from '../internal/deferred.js'
import { channelBroadcast } from '../internal/diagnostics.js'
import { TcpSseError } from '../internal/errors.js'
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
import type { ShutdownMessage } from '../stream/shutdown-message.js'
import { Broadcast, type BroadcastOptions, type BroadcastResult } from './broadcast.js'
import { type History, MemoryHistory, type ReplayOutcome } from './history.js'
import { Numbering, primer } from './ids.js'
import { type Member, Members } from './members.js'
import {
  broadcastChecks,
  type ChannelOptions,
  channelChecks,
  Joined,
  type SubscribeOptions,
  type Subscription,
  subscribeChecks,
} from './options.js'
import { TimeSlicer } from './time-slicer.js'

export type { ChannelOptions, SubscribeOptions, Subscription } from './options.js'

/** The messages that channels publish, by the name of the diagnostics channel. */
export interface ChannelMessages {
  /** A broadcast has reached the last subscriber. */
  readonly 'tcp-sse:channel:broadcast': {
    /** The channel: what `createChannel` returned. */
    readonly channel: {
      /** The number of subscribed streams. */
      readonly size: number
    }
    /** How many streams the event was sent to, by result. */
    readonly result: BroadcastResult
    /** Size of the event as each subscriber gets it, in bytes. */
    readonly bytes: number
    /** Milliseconds from the start of the delivery until the last subscriber was sent the event. */
    readonly took: number
  }
}

/**
 * Sends the same events to many streams. A stream leaves by itself when it ends. Made by
 * `createChannel`.
 *
 * @example
 * const { sent, queued, dropped, closed } = await news.broadcast({ data: 'to all but one' }, { except: stream })
 * for await (const each of news) if (each.verdict === 'slow') news.unsubscribe(each)
 */
export class Channel {
  readonly #history: History | undefined
  readonly #numbering: Numbering | undefined
  /** The channel in diagnostics messages. */
  readonly #owner: { readonly size: number }
  readonly #serialize: Serialize | undefined
  readonly #slicer: TimeSlicer
  readonly #members = new Members()
  /** Broadcasts made within a callback of a delivery. They wait, so that order is kept. */
  readonly #waiting: Waiting[] = []
  #delivering = false
  /** The number of broadcasts so far. */
  #count = 0
  /** The id of the last broadcast that had one. */
  #lastId = ''
  #last: Promise<unknown> = Promise.resolve()
  #closed: Promise<void> | undefined
  /** For streams that are subscribed after `drain`. */
  #shutdownMessage: ShutdownMessage | undefined

  /** @internal */
  constructor(options: ChannelOptions, owner?: { readonly size: number }) {
    const {
      history,
      serialize,
      sliceBudget = 8,
    } = checkOptions(options, channelChecks, 'ChannelOptions')
    this.#owner = owner ?? this
    this.#serialize = serialize
    this.#slicer = new TimeSlicer(sliceBudget)
    this.#history = history && 'append' in history ? history : undefined
    if (history === undefined || 'append' in history) return
    this.#numbering = new Numbering()
    this.#history = new MemoryHistory(history)
    // The id for clients that have not received any event.
    this.#history.append(this.#numbering.origin)
    this.#lastId = this.#numbering.origin.id as string
  }

  /** The number of subscribed streams. */
  get size(): number {
    return this.#members.size
  }

  /**
   * Adds a stream. If the channel has a history and the client has a `Last-Event-ID`, the stream is
   * first sent what the client has missed, then all new events, each once. A stream that was a
   * subscriber before is sent the events since it left. Events without an id are never replayed,
   * because no client can say whether it has received them. A stream that has ended is not added.
   * After `drain`, a new stream is ended. If the channel has a history, a client without a
   * `Last-Event-ID` is sent the id of the channel's last event, without data, in case it reconnects
   * before the next one.
   *
   * @throws {TcpSseError} `ERR_NOT_A_STREAM`, `ERR_SUBSCRIBED`, `ERR_CHANNEL_CLOSED`,
   * `ERR_OPTION_*`
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
      throw new TcpSseError('ERR_SUBSCRIBED', 'The stream is already subscribed to this channel.')
    }
    if (this.#shutdownMessage !== undefined)
      stream.finish('drained', this.#shutdownMessage.events())
    if (stream.state !== 'open') return new Joined('closed', 0)
    const { replay, replayed, lastId } = this.#replay(stream, filter, lastEventId)
    if (lastEventId === '' && this.#history !== undefined && this.#lastId !== '') {
      stream.sendEncoded(primer(this.#lastId))
    }
    if (stream.state !== 'open') return new Joined('closed', replayed)
    const startId = this.#lastId || lastId
    this.#members.add(stream, { filter, joinedAfter: this.#count, startId })
    return new Joined(replay, replayed)
  }

  /** Removes a stream and leaves it open. Returns whether it was subscribed. */
  unsubscribe(stream: EventStream): boolean {
    const member = isStream(stream) ? this.#members.find(stream) : undefined
    if (member === undefined) return false
    this.#members.leave(member, this.#lastIdFor(member))
    return true
  }

  /** The last event that a subscriber was sent. Pending broadcasts may not have reached it. */
  #lastIdFor(member: Member): string {
    const next = this.#slicer.pending.find((broadcast) => broadcast.isBefore(member))
    return (next === undefined ? this.#lastId : next.previousId) || member.startId
  }

  /**
   * Sends an event to all subscribers. The event is encoded once, and all subscribers share the
   * bytes. A slow or dead subscriber does not delay the others. Settles once the event has been
   * sent to the last subscriber. Each stream gets broadcasts in order.
   *
   * @throws {TcpSseError} as a rejection, before anything is sent: `ERR_EVENT_INVALID`,
   * `ERR_CHANNEL_CLOSED`, `ERR_OPTION_*`. It also rejects with errors that the serializer, `filter`
   * or the history throw
   */
  async broadcast(
    event: EventInput | EncodedEvent,
    options: BroadcastOptions = {},
  ): Promise<BroadcastResult> {
    this.#checkOpen()
    const { filter, except } = checkOptions(options, broadcastChecks, 'BroadcastOptions')
    // Slices run in the root async context. This callback needs the context of the caller.
    const whom = { filter: filter && AsyncResource.bind(filter), except }
    const encoded = isEncoded(event) ? event : encodeEvent(event, this.#serialize)
    return this.#publish(this.#numbering?.number(encoded) ?? encoded, whom)
  }

  /** Closes the channel, and its subscribers' streams once pending broadcasts are sent. */
  close(): Promise<void> {
    this.#closed ??= inRootContext(() => this.#close())
    return this.#closed
  }

  /** Iterates over the current subscribers. Those that leave in the meantime are skipped. */
  async *[Symbol.asyncIterator](): AsyncGenerator<EventStream, void, undefined> {
    let count = 0
    for (const member of this.#members.all()) {
      if (!member.left) yield member.stream
      count += 1
      if (count % BETWEEN_TURNS === 0) await nextTurn()
    }
  }

  /** @internal */
  stopSubscriptions(shutdownMessage: ShutdownMessage): LiveStream[] {
    this.#shutdownMessage = shutdownMessage
    return this.streams()
  }

  /** @internal */
  streams(): LiveStream[] {
    return this.#members.all().map(({ stream }) => stream)
  }

  /** @internal */
  has(stream: LiveStream): boolean {
    return this.#members.find(stream) !== undefined
  }

  /** The id of the last event that a stream was sent before it was removed. @internal */
  lastIdOf(stream: LiveStream): string | undefined {
    return this.#members.lastIdOf(stream)
  }

  /**
   * Sends the stream what it has missed. The caller subscribes it in the same synchronous step.
   *
   * @returns also the id of the last event that the stream has then
   */
  #replay(
    stream: LiveStream,
    filter: SubscribeOptions['filter'],
    lastEventId: string,
  ): { replay: ReplayOutcome; replayed: number; lastId: string } {
    if (lastEventId === '' || this.#history === undefined) {
      // Without a history, the channel only knows whether something was missed.
      const missed = lastEventId !== '' && lastEventId !== this.#lastId
      const replay = missed ? 'unknown' : 'complete'
      return { replay, replayed: 0, lastId: lastEventId }
    }
    const asked = new Map<EncodedEvent, boolean>()
    for (;;) {
      const before = this.#count
      const { outcome: replay, events } = this.#history.since(lastEventId)
      const lastId = events.at(-1)?.id || lastEventId
      try {
        const missed = filter === undefined ? events : events.filter(once(filter, asked))
        // The filter has broadcast. The stream gets that event from the history, too.
        if (before !== this.#count) continue
        stream.writer.replay(missed)
        return { replay, replayed: missed.length, lastId }
      } catch (error) {
        stream.fail(error)
        return { replay, replayed: 0, lastId }
      }
    }
  }

  #publish(event: EncodedEvent, whom: BroadcastOptions): Promise<BroadcastResult> {
    const result = new Deferred<BroadcastResult>()
    this.#waiting.push({ event, whom, result })
    if (!this.#delivering) this.#deliverAll()
    return result.promise
  }

  #deliverAll(): void {
    this.#delivering = true
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        this.#deliver(next)
      }
    } finally {
      this.#delivering = false
    }
  }

  /** Appends to the history first: a stream that is subscribed from then on gets it there. */
  #deliver({ event, whom, result }: Waiting): void {
    const { id = '' } = event
    try {
      if (id !== '') this.#history?.append(event)
    } catch (error) {
      result.reject(error)
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
    const broadcast = new Broadcast(job, whom)
    this.#last = inRootContext(() => broadcast.done.catch(() => {}))
    counters.broadcasts += 1
    if (channelBroadcast.hasSubscribers) this.#announce(broadcast, event.bytes.length)
    result.resolve(broadcast.done)
    this.#slicer.add(broadcast)
  }

  /** Publishes the result, also if a filter threw: only some subscribers missed the event. */
  #announce({ done, result }: Broadcast, bytes: number): void {
    const startedAt = monotonicNow()
    const tell = (): void => {
      const took = monotonicNow() - startedAt
      channelBroadcast.publish({
        channel: this.#owner,
        result: result,
        bytes,
        took,
      } satisfies ChannelMessages['tcp-sse:channel:broadcast'])
    }
    done.then(tell, tell)
  }

  async #close(): Promise<void> {
    // Events that were broadcast from within a callback of a delivery.
    while (this.#waiting.length > 0) await nextTurn()
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

/** Calls the filter only once per event. */
function once(filter: (event: EncodedEvent) => boolean, asked: Map<EncodedEvent, boolean>) {
  return (event: EncodedEvent): boolean => {
    const answer = asked.get(event) ?? filter(event)
    asked.set(event, answer)
    return answer
  }
}

const BETWEEN_TURNS = 256

interface Waiting {
  readonly event: EncodedEvent
  readonly whom: BroadcastOptions
  readonly result: Deferred<BroadcastResult>
}
