// Options of channels, subscriptions and broadcasts.

import {
  type Check,
  type Checks,
  callable,
  checkOptions,
  duration,
  string,
  wrongType,
} from '../internal/validate.js'
import type { EncodedEvent, Serialize } from '../sse/encode.js'
import type { EventStream } from '../stream/event-stream.js'
import type { BroadcastOptions } from './broadcast.js'
import {
  type History,
  historyChecks,
  type MemoryHistoryOptions,
  type ReplayOutcome,
} from './history.js'

/** Options of `createChannel`. */
export interface ChannelOptions {
  /**
   * Stores events for clients that reconnect. Two kinds:
   *
   * - limits such as `{ maxEvents: 10_000 }`: the channel uses a `MemoryHistory` with them, and
   *   gives each event that has no `id` a new id, which is unique across channels and restarts.
   * - a `History` such as `new MemoryHistory()`: it stores the events to which the application
   *   gives ids.
   * @defaultValue none
   */
  history?: History | MemoryHistoryOptions | undefined
  /** Turns data that is not a string into text. @defaultValue `JSON.stringify` */
  serialize?: Serialize | undefined
  /**
   * The longest time for which broadcasts of this channel may block the event loop at a stretch, in
   * milliseconds. 1 to 1 000.
   * @defaultValue 8
   */
  sliceBudget?: number | undefined
}

/** Options of `Channel.subscribe`. */
export interface SubscribeOptions {
  /**
   * Called for each event. If it returns `false`, this subscriber does not get the event. If it
   * throws, the subscriber's stream ends with `error`.
   */
  filter?: ((event: EncodedEvent) => boolean) | undefined
  /**
   * The id of the last event that the client has.
   * @defaultValue the id of the last event that this channel sent to the stream, if the stream was
   * a subscriber before; otherwise the stream's `lastEventId`
   */
  lastEventId?: string | undefined
}

/** How much could be replayed; see `Subscription.replay`. */
export type SubscriptionOutcome = ReplayOutcome | 'unavailable' | 'closed'

/** The start of a subscription. */
export interface Replayed {
  /** How much of what the client had missed the history could provide. */
  readonly replay: SubscriptionOutcome
  /** The number of events that were replayed, before any new event. */
  readonly replayed: number
}

/** A stream's subscription to a channel. */
export interface Subscription {
  /**
   * How much of what the client had missed the history could provide.
   *
   * - `complete`, `partial`, `unknown`: see `ReplayOutcome`. A client without a `Last-Event-ID`
   *   gets `complete`.
   * - `closed`: the stream has ended, or the channel has been drained, so the stream is not
   *   subscribed.
   * - `pending`: the log of the hub has not been read yet. Only with a hub.
   * - `unavailable`: the hub did not answer within `resumeTimeout`. Only with a hub.
   */
  readonly replay: SubscriptionOutcome | 'pending'
  /**
   * The number of events that were replayed, before any new event. With a hub, the number so far.
   */
  readonly replayed: number
  /**
   * Settles when the client has been sent what it had missed. Without a hub, it is already settled.
   * Never rejects.
   */
  readonly ready: Promise<Replayed>
}

/** A subscription that is complete from the start. */
export class Joined implements Subscription {
  readonly replay: SubscriptionOutcome
  readonly replayed: number

  constructor(replay: SubscriptionOutcome, replayed: number) {
    this.replay = replay
    this.replayed = replayed
  }

  get ready(): Promise<Replayed> {
    return Promise.resolve({ replay: this.replay, replayed: this.replayed })
  }
}

/** Checks for an object with these methods. */
export function object<T>(...methods: (keyof T & string)[]): Check<T> {
  return (value, name) => {
    const given = value as Record<string, unknown> | null
    const fits =
      typeof given === 'object' &&
      given !== null &&
      methods.every((method) => typeof given[method] === 'function')
    if (!fits) throw wrongType(name, `an object with ${methods.join(' and ')}`, value)
    return value as T
  }
}

export const channelChecks: Checks<ChannelOptions> = {
  history: (value, name) => {
    const given = value as Partial<History> | null
    const foreign = typeof given === 'object' && given !== null && 'append' in given
    return foreign
      ? object<History>('append', 'since')(value, name)
      : checkOptions(value, historyChecks, name)
  },
  serialize: callable<Serialize>(),
  sliceBudget: duration({ min: 1, max: 1_000 }),
}

export const subscribeChecks: Checks<SubscribeOptions> = {
  filter: callable<NonNullable<SubscribeOptions['filter']>>(),
  lastEventId: string,
}

export const broadcastChecks: Checks<BroadcastOptions> = {
  filter: callable<NonNullable<BroadcastOptions['filter']>>(),
  except: (value, name) => {
    if (typeof value !== 'object' || value === null)
      throw wrongType(name, 'one stream or several', value)
    return value as EventStream
  },
}
