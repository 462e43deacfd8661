// The options of a stream: one row each.
import { type LivenessOverrides, type LivenessPlan, livenessPlan } from '../liveness/plan.js'
import { checkNotSentLowWater } from '../socket/options.js'
import type { Serialize } from '../sse/encode.js'
import {
  abortSignal,
  type Check,
  type Checks,
  callable,
  checkOptions,
  duration,
  integer,
  oneOf,
  orFalse,
} from '../validate.js'
import type { OverflowPolicy, QueueLimits } from './queue.js'

/** Options of `createEventStream`. Times in milliseconds, sizes in bytes; `false` means off. */
export interface EventStreamOptions extends LivenessOverrides {
  /**
   * The promise: a peer that has fallen silent is closed within this time + 1 s. Everything else about liveness
   * follows from it (`livenessPlan`). 4 000 to 3 600 000.
   * @defaultValue 30 000
   */
  detectWithin?: number | undefined
  /**
   * A client that takes no byte for this long while bytes wait for it is closed with reason `stalled`. Progress,
   * however slow, starts the time again.
   * @defaultValue 30 000
   */
  stallTimeout?: number | false | undefined
  /**
   * Bytes of events that may wait in the stream for a client that is behind.
   * @defaultValue 1 MiB
   */
  maxBufferedBytes?: number | undefined
  /**
   * Events that may wait.
   * @defaultValue no limit but that of the bytes
   */
  maxBufferedEvents?: number | undefined
  /**
   * What happens when more would have to wait. Only whole events that are still in the stream's own queue can be
   * dropped.
   * @defaultValue `'close'`
   */
  onOverflow?: OverflowPolicy | undefined
  /**
   * TCP_NOTSENT_LOWAT, bytes: how much the kernel takes ahead of what it can send. `false` leaves the kernel's
   * default, and a stalled client then swallows megabytes before anybody notices.
   * @defaultValue 65 536
   */
  notSentLowWater?: number | false | undefined
  /** Sent as `retry` with the head: how long clients wait before they connect again. */
  retry?: number | undefined
  /** Turns data that is no string into text. @defaultValue `JSON.stringify` */
  serialize?: Serialize | undefined
  /** Aborts the stream (reason `aborted`). */
  signal?: AbortSignal | undefined
  /** Further response headers; they win over the stream's own. */
  headers?: Readonly<Record<string, string | number | readonly string[]>> | undefined
}

/** The options with everything filled in. */
export interface StreamSettings {
  readonly plan: LivenessPlan
  readonly limits: QueueLimits
  readonly stallTimeout: number | false
  readonly notSentLowWater: number | false
  readonly retry: number | undefined
  readonly serialize: Serialize | undefined
  readonly signal: AbortSignal | undefined
  readonly headers: EventStreamOptions['headers']
}

const DEFAULT_STALL_TIMEOUT = 30_000
const DEFAULT_MAX_BUFFERED_BYTES = 1024 * 1024
const DEFAULT_NOT_SENT_LOW_WATER = 64 * 1024

/** Passed on to `livenessPlan`, which checks them. */
const pass: Check<never> = (value) => value as never

const checks: Checks<EventStreamOptions> = {
  detectWithin: pass,
  userTimeout: pass,
  keepAlive: pass,
  retransmitMax: pass,
  heartbeat: pass,
  stallTimeout: orFalse(duration({ min: 1_000 })),
  maxBufferedBytes: integer('bytes', { min: 1, max: Number.MAX_SAFE_INTEGER }),
  maxBufferedEvents: integer('events', { min: 1, max: Number.MAX_SAFE_INTEGER }),
  onOverflow: oneOf(['close', 'drop-oldest', 'drop-newest', 'coalesce']),
  notSentLowWater: orFalse(checkNotSentLowWater),
  retry: integer('milliseconds', { min: 0, max: Number.MAX_SAFE_INTEGER }),
  serialize: callable<Serialize>(),
  signal: abortSignal,
  headers: (value) => value as NonNullable<EventStreamOptions['headers']>,
}

const known = new WeakMap<EventStreamOptions, StreamSettings>()

/**
 * Checks options and fills in the defaults. Frozen objects are checked once: an application that opens thousands
 * of streams with one constant pays for it once.
 */
export function streamSettings(options: EventStreamOptions): StreamSettings {
  const before = known.get(options)
  if (before !== undefined) return before
  const settings = check(options)
  if (Object.isFrozen(options)) known.set(options, settings)
  return settings
}

function check(options: EventStreamOptions): StreamSettings {
  const given = checkOptions(options, checks, 'EventStreamOptions')
  const { userTimeout, keepAlive, retransmitMax, heartbeat } = given
  return {
    plan: livenessPlan(given.detectWithin, { userTimeout, keepAlive, retransmitMax, heartbeat }),
    limits: {
      maxBufferedBytes: given.maxBufferedBytes ?? DEFAULT_MAX_BUFFERED_BYTES,
      maxBufferedEvents: given.maxBufferedEvents ?? Number.POSITIVE_INFINITY,
      onOverflow: given.onOverflow ?? 'close',
    },
    stallTimeout: given.stallTimeout ?? DEFAULT_STALL_TIMEOUT,
    notSentLowWater: given.notSentLowWater ?? DEFAULT_NOT_SENT_LOW_WATER,
    retry: given.retry,
    serialize: given.serialize,
    signal: given.signal,
    headers: given.headers,
  }
}
