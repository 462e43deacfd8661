// What a channel with a hub can be told, and what it tells.

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

/** Entries that a channel has lost, as far as it knows. */
export interface ChannelGap {
  /** The channel's name. */
  readonly name: string
  /** The id of the last event before the gap. */
  readonly after: string
  /** The id from which it goes on. */
  readonly next: string
}

/** Published on `tcp-sse:channel:state`. */
export interface ChannelStateMessage {
  /** The channel's name. */
  readonly name: string
  /** Now. */
  readonly state: FeedState
  /** Before. */
  readonly previous: FeedState
  /** Why it is down. */
  readonly cause: Error | undefined
}

/** How much the log of a channel with a hub remembers. */
export interface HubHistory {
  /** @defaultValue 1 000 */
  maxEvents?: number | undefined
  /** Milliseconds. @defaultValue no limit */
  maxAge?: number | undefined
}

/** What channels of `createChannels` share. Times in milliseconds. */
export interface HubSettings {
  /** Carries and remembers the events: `clusterHub()`, `localHub()`, … */
  hub: Hub
  /** How much the log remembers. */
  history?: HubHistory | undefined
  /** Turns data that is no string into text. @defaultValue `JSON.stringify` */
  serialize?: Serialize | undefined
  /** The longest that broadcasts of this channel hold the event loop at a time. @defaultValue 8 */
  sliceBudget?: number | undefined
  /** After so long `broadcast` rejects, whatever the engine does. @defaultValue 5 000 */
  publishTimeout?: number | undefined
  /** After so long without an answer of the engine a client that comes back gets what is new: outcome `unavailable`. @defaultValue 5 000 */
  resumeTimeout?: number | undefined
  /** Events that may wait for the engine's answer; more are refused with `ERR_HUB_DOWN`. Beside it, 16 MiB. @defaultValue 1 000 */
  maxPending?: number | undefined
  /**
   * What becomes of an event that the engine has not taken. `reject`: `broadcast` rejects. `local`: it is sent to the subscribers of this process,
   * without an id, and is not remembered; for what is only worth having now.
   * @defaultValue `'reject'`
   */
  whenDown?: 'reject' | 'local' | undefined
  /**
   * Called when entries are lost: the log was trimmed past this process, or is another one. `'close'`, or a callback that returns it: all subscribers are
   * ended over `spreadOver`, come back, and are told then. Otherwise they stay, and are sent the gap event.
   */
  onGap?: 'close' | ((gap: ChannelGap) => unknown) | undefined
  /** The name of the event that tells clients that they may have missed something; its data is `{"reason": …}`. @defaultValue `'gap'` */
  gapEvent?: string | undefined
  /** The time over which subscribers are ended after a gap. @defaultValue 10 000 */
  spreadOver?: number | undefined
}

/** Options of `createChannel` with a hub. Times in milliseconds. */
export interface HubChannelOptions extends HubSettings {
  /** The channel's name: all channels of this name on the same hub are one, in whichever process. */
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

/** How much a log is asked to keep. */
export function keepOf({ maxEvents = 1_000, maxAge }: HubHistory = {}): Keep {
  return maxAge === undefined ? { maxEvents } : { maxEvents, maxAge }
}

/** What `broadcast` of a channel with a hub settles with. */
export interface Publication {
  /** The event's id; `undefined` where it was sent to this process's subscribers only (`whenDown: 'local'`). */
  readonly id: string | undefined
}
