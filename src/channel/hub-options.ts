// Options and messages of channels with a hub.

import type { FeedState, Hub, Keep } from '../hub/hub.js'
import {
  type Checks,
  callable,
  checkOptions,
  duration,
  integer,
  oneOf,
  wrongType,
} from '../internal/validate.js'
import type { Serialize } from '../sse/encode.js'
import { object } from './options.js'

/** A range of events that the channel has, or may have, lost. */
export interface ChannelGap {
  /** The channel's name. */
  readonly name: string
  /** The id of the last event before the gap. */
  readonly after: string
  /** The id after which the channel continues. */
  readonly next: string
}

/** Published on `tcp-sse:channel:state`. */
export interface ChannelStateMessage {
  /** The channel's name. */
  readonly name: string
  /** The new state. */
  readonly state: FeedState
  /** The state before. */
  readonly previous: FeedState
  /** Why the channel is down, if it is. */
  readonly cause: Error | undefined
}

/** How much the log of a channel with a hub keeps. */
export interface HubHistory {
  /** The number of events, 1 to 10 000 000. @defaultValue 1 000 */
  maxEvents?: number | undefined
  /** How old an event may be, in milliseconds. @defaultValue no limit */
  maxAge?: number | undefined
}

/** Options that the channels of `createChannels` share. Times in milliseconds. */
export interface HubSettings {
  /**
   * Carries and stores the events: `clusterHub()`, `localHub()`, `redisHub()`, … Its engine is
   * the system that stores the logs, for example Redis.
   */
  hub: Hub
  /** How much the log keeps. @defaultValue 1 000 events */
  history?: HubHistory | undefined
  /** Turns data that is not a string into text. @defaultValue `JSON.stringify` */
  serialize?: Serialize | undefined
  /**
   * The longest time for which the broadcasts of one channel may block the event loop at a stretch,
   * 1 to 1 000. @defaultValue 8
   */
  sliceBudget?: number | undefined
  /** Time after which `broadcast` rejects if the engine has not answered. @defaultValue 5 000 */
  publishTimeout?: number | undefined
  /**
   * Time after which a client that reconnects continues with new events if the engine has not
   * answered; the outcome is then `unavailable`. @defaultValue 5 000
   */
  resumeTimeout?: number | undefined
  /**
   * How many events may wait for the engine's answer, 1 to 1 000 000. Together they may have about
   * 16 MiB of text. Further events are refused with `ERR_HUB_DOWN`. @defaultValue 1 000
   */
  maxPending?: number | undefined
  /**
   * What happens to an event that the engine has not taken. With `reject`, `broadcast` rejects.
   * With `local`, the event is sent to the subscribers of this process, without an id, and is not
   * stored. Use `local` for events that are of no use later.
   * @defaultValue `'reject'`
   */
  whenDown?: 'reject' | 'local' | undefined
  /**
   * What happens when entries are lost: the log no longer has entries that this process has not
   * read yet, or the log was replaced by another one.
   * With `'close'`, or a callback that returns it, all subscribers are ended over `spreadOver`, and
   * learn of the gap when they reconnect. Otherwise they stay connected and are sent the gap event.
   * @defaultValue they stay connected
   */
  onGap?: 'close' | ((gap: ChannelGap) => unknown) | undefined
  /**
   * The name of the event that reports to a client that it may have missed something. Its data is
   * `{"reason": …}`: `lost` (see `onGap`), or the outcome of a replay: `partial`, `unknown` or
   * `unavailable`.
   * @defaultValue `'gap'`
   */
  gapEvent?: string | undefined
  /** The time over which subscribers are ended after a gap. @defaultValue 10 000 */
  spreadOver?: number | undefined
}

/** Options of `createChannel` with a hub. Times in milliseconds. */
export interface HubChannelOptions extends HubSettings {
  /** The channel's name. All channels with this name on the same hub are one, in all processes. */
  name: string
}

const historyChecks: Checks<HubHistory> = {
  maxEvents: integer('events', { min: 1, max: 10_000_000 }),
  maxAge: duration(),
}

export const hubChecks: Checks<HubSettings> = {
  hub: object<Hub>('open', 'close'),
  history: (value, name) => checkOptions(value, historyChecks, name),
  serialize: callable<Serialize>(),
  sliceBudget: duration({ min: 1, max: 1_000 }),
  publishTimeout: duration(),
  resumeTimeout: duration(),
  maxPending: integer('events', { min: 1, max: 1_000_000 }),
  whenDown: oneOf(['reject', 'local']),
  onGap: (value, name) => {
    if (value === 'close' || typeof value === 'function') return value as 'close'
    throw wrongType(name, "'close' or a function", value)
  },
  gapEvent: string,
  spreadOver: duration(),
}

export const hubChannelChecks: Checks<HubChannelOptions> = { ...hubChecks, name: string }

function string(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw wrongType(name, 'a string that is not empty', value)
}

/** How much a log must keep. */
export function keepOf({ maxEvents = 1_000, maxAge }: HubHistory = {}): Keep {
  return maxAge === undefined ? { maxEvents } : { maxEvents, maxAge }
}

/** The result of `broadcast` on a channel with a hub. */
export interface Publication {
  /**
   * The event's id; `undefined` if it was sent to this process's subscribers only
   * (`whenDown: 'local'`).
   */
  readonly id: string | undefined
}
