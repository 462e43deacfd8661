// A channel whose events a hub carries and stores: one log, with subscribers in many processes.
import { AsyncResource } from 'node:async_hooks'
import type { FeedState } from '../hub/hub.js'
import { TcpSseError } from '../internal/errors.js'
import { inRootContext } from '../internal/scheduling.js'
import { brand } from '../internal/shared.js'
import { checkOptions, wrongType } from '../internal/validate.js'
import {
  type EncodedEvent,
  type EventInput,
  encodeEvent,
  eventText,
  isEncoded,
} from '../sse/encode.js'
import type { EventStream } from '../stream/event-stream.js'
import type { LiveStream } from '../stream/live-stream.js'
import { isStream, notAStream } from '../stream/live-streams.js'
import type { ShutdownMessage } from '../stream/shutdown-message.js'
import type { BroadcastOptions } from './broadcast.js'
import { HubMembers } from './hub-members.js'
import { type HubChannelOptions, hubChannelChecks, type Publication } from './hub-options.js'
import {
  broadcastChecks,
  Joined,
  type SubscribeOptions,
  type Subscription,
  subscribeChecks,
} from './options.js'
import { Publisher } from './publishing.js'

/**
 * A channel with a hub. All channels with one name on one hub, in all processes, have the same
 * events in the same order, with the hub's ids. Made by `createChannel`.
 *
 * @example
 * const chat = createChannel({ hub: localHub(), name: 'chat:42' })
 * const { replay, replayed } = await chat.subscribe(stream).ready
 * const { id } = await chat.broadcast({ data: 'hello' })
 */
export class HubChannel {
  /** The channel's name. */
  readonly name: string
  readonly #options: HubChannelOptions
  readonly #members: HubMembers
  readonly #publisher: Publisher
  #shutdownMessage: ShutdownMessage | undefined
  #closed: Promise<void> | undefined

  /** @internal */
  constructor(options: HubChannelOptions) {
    const given = checkOptions(options, hubChannelChecks, 'HubChannelOptions')
    if (given.hub === undefined) {
      throw wrongType('HubChannelOptions.hub', 'a hub, such as localHub()', given.hub)
    }
    if (given.name === undefined) {
      throw wrongType('HubChannelOptions.name', 'a string', given.name)
    }
    this.name = given.name
    this.#options = given
    this.#publisher = new Publisher(given.maxPending ?? 1_000, given.publishTimeout ?? 5_000)
    this.#members = new HubMembers(given, this, (token) => this.#publisher.takeWhom(token))
  }

  /** How many streams are subscribed in this process. */
  get size(): number {
    return this.#members.size
  }

  /**
   * What the channel receives from the hub: new events (`live`), events that it missed
   * (`catching-up`), or nothing (`down`).
   */
  get state(): FeedState {
    return this.#members.feedState
  }

  /** Whether it has subscribers or pending publications. @internal */
  get busy(): boolean {
    return this.size > 0 || this.#publisher.busy
  }

  /**
   * Adds a stream. A client with a `Last-Event-ID` is first sent what it has missed, then all new
   * events, each once. A client without one is sent the channel's current id, so that it misses
   * nothing if it reconnects before the next event. If the log no longer has the missed events, the
   * client gets the gap event. A stream that has ended is not added. After `drain`, a new stream is
   * ended.
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
    this.#checkOpen()
    if (this.#members.has(stream)) {
      throw new TcpSseError('ERR_SUBSCRIBED', 'The stream is already subscribed to this channel.')
    }
    if (this.#shutdownMessage !== undefined)
      stream.finish('drained', this.#shutdownMessage.events())
    if (stream.state !== 'open') return new Joined('closed', 0)
    const filter = given.filter && AsyncResource.bind(given.filter)
    return inRootContext(() => this.#members.subscribe(stream, given.lastEventId, filter))
  }

  /** Removes a stream from the channel and leaves it open. Returns whether it was subscribed. */
  unsubscribe(stream: EventStream): boolean {
    return isStream(stream) && this.#members.unsubscribe(stream)
  }

  /**
   * Publishes an event. All subscribers in all processes get it, and the log has it for clients
   * that reconnect. Settles when the hub has it. `filter` and `except` choose among the subscribers
   * of this process only. Subscribers in other processes, and clients that reconnect, get the event
   * in any case.
   *
   * @throws {TcpSseError} as a rejection: `ERR_EVENT_INVALID`, also for an event with an `id`,
   * because the hub gives the ids; `ERR_HUB_DOWN`, the event was not taken; `ERR_PUBLISH_UNKNOWN`,
   * it is unknown whether the event was taken; `ERR_CHANNEL_CLOSED`, `ERR_OPTION_*`
   */
  async broadcast(
    event: EventInput | EncodedEvent,
    options: BroadcastOptions = {},
  ): Promise<Publication> {
    this.#checkOpen()
    const { filter, except } = checkOptions(options, broadcastChecks, 'BroadcastOptions')
    const chosen = filter !== undefined || except !== undefined
    const whom = chosen ? { filter: filter && AsyncResource.bind(filter), except } : undefined
    if (event?.id !== undefined) {
      const message =
        'An event on a channel with a hub must not have an id, because the hub gives the ids.'
      throw new TcpSseError('ERR_EVENT_INVALID', message)
    }
    const text = isEncoded(event)
      ? event.bytes.toString()
      : eventText(event, this.#options.serialize)
    const { key } = event
    try {
      const position = await this.#publisher.publish(this.#members.feed, { text, key }, whom)
      return { id: this.#members.tag.idOf(position) }
    } catch (error) {
      const down = error instanceof TcpSseError && error.code === 'ERR_HUB_DOWN'
      if (!down || this.#options.whenDown !== 'local' || this.#closed !== undefined) throw error
      const local = isEncoded(event) ? event : encodeEvent(event, this.#options.serialize)
      this.#members.sendHere(local, whom)
      return { id: undefined }
    }
  }

  /**
   * Closes the channel in this process, and the streams of its subscribers here, once pending
   * publications have been answered.
   */
  close(): Promise<void> {
    this.#closed ??= inRootContext(() => this.#close())
    return this.#closed
  }

  /**
   * Iterates over the current subscribers in this process, except those that leave during the
   * iteration.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<EventStream, void, undefined> {
    for (const stream of this.#members.joining()) yield stream
    yield* this.#members.local
  }

  /** @internal */
  stopSubscriptions(shutdownMessage: ShutdownMessage): LiveStream[] {
    this.#shutdownMessage = shutdownMessage
    return this.#members.stopSubscriptions(shutdownMessage)
  }

  async #close(): Promise<void> {
    await this.#publisher.idle()
    await this.#members.close()
  }

  #checkOpen(): void {
    if (this.#closed === undefined) return
    throw new TcpSseError('ERR_CHANNEL_CLOSED', 'The channel has been closed.')
  }
}

brand(HubChannel, 'Channel')
