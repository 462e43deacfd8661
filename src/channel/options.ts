// What a channel, its subscriptions and its broadcasts can be told.

import {
  type Check,
  type Checks,
  callable,
  checkOptions,
  duration,
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
   * Remembers events for clients that come back. Limits such as `{ maxEvents: 10_000 }`: a `MemoryHistory` with them, and the channel gives each event
   * without an `id` one of its own, which no other channel and no restart of the process gives again. A `History` such
   * as `new MemoryHistory()`: it remembers the events to which the application gives ids.
   * @defaultValue none
   */
  history?: History | MemoryHistoryOptions | undefined
  /** Turns data that is no string into text. @defaultValue `JSON.stringify` */
  serialize?: Serialize | undefined
  /**
   * The longest that broadcasts of this channel hold the event loop at a time, ms.
   * @defaultValue 8
   */
  sliceBudget?: number | undefined
}

/** Options of `Channel.subscribe`. */
export interface SubscribeOptions {
  /** Asked for each event; `false` leaves this subscriber out. One that throws ends its stream with `error`. */
  filter?: ((event: EncodedEvent) => boolean) | undefined
  /**
   * The last event that the client has.
   * @defaultValue the last that this channel sent the stream, if it was a subscriber before; else the stream's `lastEventId`
   */
  lastEventId?: string | undefined
}

/** What could be sent again; see `Subscription.replay`. */
export type SubscriptionOutcome = ReplayOutcome | 'unavailable' | 'closed'

/** What a subscription began with. */
export interface Replayed {
  /** What the history could do for this client. */
  readonly replay: SubscriptionOutcome
  /** Events that were sent again, before anything new. */
  readonly replayed: number
}

/** What a subscription begins with. */
export interface Subscription {
  /**
   * What the history could do for this client; `complete` for a client without a `Last-Event-ID`. `closed`: the stream has ended,
   * or the channel has been drained, and the stream is no subscriber. With a hub also `pending`, until its log has been asked, and
   * `unavailable`: it did not answer within `resumeTimeout`.
   */
  readonly replay: SubscriptionOutcome | 'pending'
  /** Events that are sent again, before anything new; with a hub, so far. */
  readonly replayed: number
  /** Settles when the client has been handed what it had missed, and gets what is new; at once for a channel without a hub. Never rejects. */
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

/** Something with these methods. */
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
  lastEventId: (value, name) => {
    if (typeof value !== 'string') throw wrongType(name, 'a string', value)
    return value
  },
}

export const broadcastChecks: Checks<BroadcastOptions> = {
  filter: callable<NonNullable<BroadcastOptions['filter']>>(),
  except: (value, name) => {
    if (typeof value !== 'object' || value === null)
      throw wrongType(name, 'one stream or several', value)
    return value as EventStream
  },
}
