// The options of a stream: one row each.
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { TcpSseError } from '../internal/errors.js'
import { isBranded } from '../internal/shared.js'
import {
  abortSignal,
  boolean,
  type Check,
  type Checks,
  callable,
  checkOptions,
  duration,
  integer,
  oneOf,
  orFalse,
  wrongType,
} from '../internal/validate.js'
import { type LivenessOverrides, type MonitorPlan, monitorPlan } from '../liveness/plan.js'
import { encodeEvent, encodePadding, type Serialize } from '../sse/encode.js'
import { checkNotSentLowWater } from '../tcp/options.js'
import type { Admission } from './admission.js'
import { checkEcho, type EchoOptions, type EchoSettings } from './echo-options.js'
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
   * however slow, starts the time again. While the client's kernel leaves everything unanswered this is not about
   * reading: `detectWithin` rules then. With `false`, `close()` waits for a client that never reads without a limit.
   * @defaultValue 30 000
   */
  stallTimeout?: number | false | undefined
  /**
   * Bytes of events that may wait in the stream for a client that is behind. When nothing waits, one event is taken
   * whatever its size.
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
  /**
   * An escape, to be set to `false` if the fast path is suspected of a fault: it hands events past Node's streams to the
   * kernel, many with one call, where that is right (plain HTTP/1 over TCP, with the addon). The environment variable
   * `TCP_SSE_NO_FAST_PATH=1` switches it off for the process. Please report what made you use it.
   * @defaultValue `true`
   */
  fastPath?: boolean | undefined
  /**
   * Bytes of comment sent right after the head, for proxies and clients that hold a response back until so much has
   * come (2 048 has been the customary number). `false`: none.
   * @defaultValue `false`
   */
  padding?: number | false | undefined
  /** Sent as `retry` with the head: how long clients wait before they connect again. */
  retry?: number | undefined
  /** Turns data that is no string into text. @defaultValue `JSON.stringify` */
  serialize?: Serialize | undefined
  /** Aborts the stream (reason `aborted`). */
  signal?: AbortSignal | undefined
  /**
   * A stream that is older than this ends as by `close()`, with reason `expired`, and its client connects again: spreads
   * clients over servers that have come later, and has their rights checked anew. Each stream lives for 80 to 100 % of it,
   * so that those which came together do not come back together. At least 1 000.
   * @defaultValue false
   */
  maxAge?: number | false | undefined
  /**
   * Has the client itself answer, with `liveFetch` of `tcp-sse/client`: through any proxy the server then knows that
   * it is there, and the client that the server is. One that has answered and does so no more is closed with reason `no-echo`.
   * The route for the answers is `echo()`.
   * @defaultValue `false`
   */
  echo?: EchoOptions | false | undefined
  /** A limit that this stream shares with others; beyond it: 503. See `createAdmission`. */
  admission?: Admission | undefined
  /**
   * Streams that one connection may carry; a request for one more is answered with 503. It keeps one HTTP/2 client, which
   * decides how many streams it opens, from taking up the server. `false`: no limit.
   * @defaultValue 1 000
   */
  maxStreamsPerConnection?: number | false | undefined
  /** Further response headers; they win over the stream's own. */
  headers?: Readonly<Record<string, string | number | readonly string[]>> | undefined
}

/** The options with everything filled in. */
export interface StreamSettings {
  readonly plan: MonitorPlan
  readonly limits: QueueLimits
  readonly stallTimeout: number | false
  readonly notSentLowWater: number | false
  readonly fastPath: boolean
  /** What comes before the first event, in one piece: padding and `retry`. */
  readonly opening: Buffer | undefined
  readonly serialize: Serialize | undefined
  readonly signal: AbortSignal | undefined
  readonly maxAge: number | false
  readonly echo: EchoSettings | false
  readonly admission: Admission | undefined
  readonly maxStreamsPerConnection: number | false
  readonly headers: EventStreamOptions['headers']
}

const DEFAULT_STALL_TIMEOUT = 30_000
const DEFAULT_MAX_BUFFERED_BYTES = 1024 * 1024
const DEFAULT_NOT_SENT_LOW_WATER = 64 * 1024
const DEFAULT_MAX_STREAMS_PER_CONNECTION = 1_000

/** Passed on to `monitorPlan`, which checks them. */
const pass: Check<never> = (value) => value as never

/** The table of a stream's options. */
export const streamChecks: Checks<EventStreamOptions> = {
  detectWithin: pass,
  heartbeat: pass,
  stallTimeout: orFalse(duration({ min: 1_000 })),
  maxBufferedBytes: integer('bytes', { min: 1, max: Number.MAX_SAFE_INTEGER }),
  maxBufferedEvents: integer('events', { min: 1, max: Number.MAX_SAFE_INTEGER }),
  onOverflow: oneOf(['close', 'drop-oldest', 'drop-newest', 'coalesce']),
  notSentLowWater: orFalse(checkNotSentLowWater),
  fastPath: boolean,
  padding: orFalse(integer('bytes', { min: 4, max: 65_536 })),
  retry: integer('milliseconds', { min: 0, max: Number.MAX_SAFE_INTEGER }),
  serialize: callable<Serialize>(),
  signal: abortSignal,
  maxAge: orFalse(duration({ min: 1_000 })),
  echo: orFalse(checkEcho),
  admission: checkAdmission,
  maxStreamsPerConnection: orFalse(integer('streams', { min: 1, max: Number.MAX_SAFE_INTEGER })),
  headers: checkHeaders,
}

function checkAdmission(value: unknown, name: string): Admission {
  if (isBranded(value, 'Admission')) return value as Admission
  throw wrongType(name, 'what createAdmission() returned', value)
}

/** By Node's own rules, so that nothing of a bad list is on the response when it is refused. */
function checkHeaders(value: unknown, name: string): NonNullable<EventStreamOptions['headers']> {
  // A Headers or a Map keeps its entries elsewhere, and would be taken for an empty list.
  if (typeof value !== 'object' || value === null || Symbol.iterator in value) {
    throw wrongType(name, 'a plain object of header names and values', value)
  }
  const seen = new Set<string>()
  for (const [header, content] of Object.entries(value)) {
    checkHeader(header, content, `${name}.${header}`)
    if (FRAMING.has(header.toLowerCase())) throw badHeader(name, header, 'is for Node to set')
    if (seen.has(header.toLowerCase())) throw badHeader(name, header, 'is there twice')
    seen.add(header.toLowerCase())
  }
  return { ...value }
}

/** Where a response ends, which an application that streams does not know. */
const FRAMING = new Set(['content-length', 'transfer-encoding'])

function checkHeader(header: string, content: unknown, option: string): void {
  const values: unknown[] = Array.isArray(content) ? content : [content]
  try {
    validateHeaderName(header)
    for (const value of values) {
      if (typeof value !== 'string' && !Number.isFinite(value)) {
        throw wrongType(option, 'a string, a number, or an array of strings', content)
      }
      validateHeaderValue(header, String(value))
    }
  } catch (cause) {
    if (cause instanceof TcpSseError) throw cause
    throw new TcpSseError('ERR_OPTION_VALUE', (cause as Error).message, { option, cause })
  }
}

function badHeader(name: string, header: string, what: string): TcpSseError {
  const option = `${name}.${header}`
  return new TcpSseError('ERR_OPTION_VALUE', `${option} ${what}.`, { option })
}

const known = new WeakMap<EventStreamOptions, StreamSettings>()

/**
 * Checks options and fills in the defaults. Frozen objects are checked once: an application that opens thousands
 * of streams with one constant pays for it once.
 */
export function streamSettings(options: EventStreamOptions): StreamSettings {
  return checkedOnce(known, options, () =>
    settingsOf(checkOptions(options, streamChecks, 'EventStreamOptions')),
  )
}

/** What `check` makes of an options object: from `cache`, where it is frozen and was checked before. */
export function checkedOnce<O extends object, S>(
  cache: WeakMap<O, S>,
  options: O,
  check: () => S,
): S {
  const before = cache.get(options)
  if (before !== undefined) return before
  const settings = check()
  if (Object.isFrozen(options)) cache.set(options, settings)
  return settings
}

/** Fills in the defaults of options that have been checked. */
export function settingsOf(given: EventStreamOptions): StreamSettings {
  return {
    plan: monitorPlan(given.detectWithin, { heartbeat: given.heartbeat }),
    limits: {
      maxBufferedBytes: given.maxBufferedBytes ?? DEFAULT_MAX_BUFFERED_BYTES,
      maxBufferedEvents: given.maxBufferedEvents ?? Number.POSITIVE_INFINITY,
      onOverflow: given.onOverflow ?? 'close',
    },
    stallTimeout: given.stallTimeout ?? DEFAULT_STALL_TIMEOUT,
    notSentLowWater: given.notSentLowWater ?? DEFAULT_NOT_SENT_LOW_WATER,
    fastPath: (given.fastPath ?? true) && process.env.TCP_SSE_NO_FAST_PATH !== '1',
    opening: openingOf(given),
    serialize: given.serialize,
    signal: given.signal,
    maxAge: given.maxAge ?? false,
    echo: (given.echo as EchoSettings | undefined) ?? false,
    admission: given.admission,
    maxStreamsPerConnection: given.maxStreamsPerConnection ?? DEFAULT_MAX_STREAMS_PER_CONNECTION,
    headers: given.headers,
  }
}

function openingOf({ padding = false, retry }: EventStreamOptions): Buffer | undefined {
  const parts: Buffer[] = []
  if (padding !== false) parts.push(encodePadding(padding).bytes)
  if (retry !== undefined) parts.push(encodeEvent({ retry }).bytes)
  return parts.length > 0 ? Buffer.concat(parts) : undefined
}
