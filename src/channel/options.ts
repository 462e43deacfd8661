// What a channel, its subscriptions and its broadcasts can be told.

import { type Check, type Checks, callable, duration, wrongType } from '../internal/validate.js'
import type { EncodedEvent, Serialize } from '../sse/encode.js'
import type { EventStream } from '../stream/event-stream.js'
import type { BroadcastOptions } from './broadcast.js'
import type { History, ReplayOutcome } from './history.js'
import type { Hub } from './hub.js'

/** Options of `createChannel`. */
export interface ChannelOptions {
  /** Remembers events for clients that come back, e.g. a `MemoryHistory`. @defaultValue none */
  history?: History | undefined
  /** Carries broadcasts between channels, of this process or of several. @defaultValue one of its own */
  hub?: Hub | undefined
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

/** What a subscription began with. */
export interface Subscription {
  /**
   * What the history could do for this client; `complete` for a client without a `Last-Event-ID`. `closed`: the stream has ended,
   * or the channel has been drained, and the stream is no subscriber.
   */
  readonly replay: ReplayOutcome | 'closed'
  /** Events that are sent again, before anything new. */
  readonly replayed: number
}

function object<T>(...methods: (keyof T & string)[]): Check<T> {
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
  history: object<History>('append', 'since'),
  hub: object<Hub>('publish', 'listen'),
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
