// The options of a stream, one row each.
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
import {
  checkHeartbeat,
  type LivenessOverrides,
  type MonitorPlan,
  monitorPlan,
} from '../liveness/plan.js'
import { encodeEvent, encodePadding, type Serialize } from '../sse/encode.js'
import { checkNotSentLowWater } from '../tcp/options.js'
import type { Admission } from './admission.js'
import { checkEcho, type EchoOptions, type EchoSettings } from './echo-options.js'
import type { OverflowPolicy, QueueLimits } from './queue.js'

/** Options of `createEventStream`. Times are in milliseconds, sizes in bytes; `false` means off. */
export interface EventStreamOptions extends LivenessOverrides {
  /**
   * A peer that has fallen silent is closed within this time + 1 s. All other liveness settings follow from it
   * (`livenessPlan`). 4 000 to 3 600 000.
   * @defaultValue 30 000
   */
  detectWithin?: number | undefined
  /**
   * A client that accepts no byte for this long while bytes wait for it is closed with reason `stalled`. Any progress
   * restarts the time. While the client's kernel leaves everything unanswered, `detectWithin` applies instead. With
   * `false`, `close()` waits without a limit for a client that reads nothing. At least 1 000.
   * @defaultValue 30 000
   */
  stallTimeout?: number | false | undefined
  /**
   * Bytes of events that may wait in the stream for a client that is behind. If nothing waits, one event is accepted
   * regardless of its size.
   * @defaultValue 1 MiB
   */
  maxBufferedBytes?: number | undefined
  /**
   * Number of events that may wait.
   * @defaultValue no limit except `maxBufferedBytes`
   */
  maxBufferedEvents?: number | undefined
  /**
   * What happens to an event that would exceed `maxBufferedBytes` or `maxBufferedEvents`. Only whole events in the
   * stream's own queue can be dropped.
   * @defaultValue `'close'`
   */
  onOverflow?: OverflowPolicy | undefined
  /**
   * TCP_NOTSENT_LOWAT: how many unsent bytes the kernel accepts. `false` keeps the kernel's default, with which
   * megabytes can wait in the kernel before a stalled client is noticed (`tcp_wmem` of tcp(7)).
   * @defaultValue 65 536
   */
  notSentLowWater?: number | false | undefined
  /**
   * The fast path passes events to the kernel past Node's streams, many with one call. It is used only over plain
   * HTTP/1 on TCP, with the addon. Set this option to `false` if you suspect a bug in the fast path, and please report
   * the bug. The environment variable `TCP_SSE_NO_FAST_PATH=1` disables it for the process.
   * @defaultValue `true`
   */
  fastPath?: boolean | undefined
  /**
   * Size of a comment that is sent right after the head, for proxies and clients that hold a response back until this
   * much has arrived (2 048 is customary). `false` sends none. 4 to 65 536.
   * @defaultValue `false`
   */
  padding?: number | false | undefined
  /** Sent as `retry` with the head: how long clients wait before they reconnect. Not sent by default. */
  retry?: number | undefined
  /** Converts data other than a string to text. @defaultValue `JSON.stringify` */
  serialize?: Serialize | undefined
  /** Aborts the stream, with reason `aborted`. */
  signal?: AbortSignal | undefined
  /**
   * A stream that is older than this ends as with `close()`, with reason `expired`, and its client reconnects. This
   * distributes clients over new servers and has their permissions checked again. Each stream lives for 80 to 100 % of
   * this time, so that clients do not return together. At least 1 000.
   * @defaultValue `false`
   */
  maxAge?: number | false | undefined
  /**
   * Makes the client itself answer, with `liveFetch` of `tcp-sse/client`. Through any proxy, the server then knows that
   * the client is there, and the client knows that the server is. A client that has answered and no longer does is
   * closed with reason `no-echo`. The route for the answers is `echo()`.
   * @defaultValue `false`
   */
  echo?: EchoOptions | false | undefined
  /** A limit that this stream shares with others. Requests beyond it get 503. See `createAdmission`. */
  admission?: Admission | undefined
  /**
   * Streams that one connection may carry. A request for another one gets 503. This prevents one HTTP/2 client, which
   * decides how many streams it opens, from exhausting the server. `false` means no limit.
   * @defaultValue 1 000
   */
  maxStreamsPerConnection?: number | false | undefined
  /**
   * Additional response headers. They override the stream's own. `Content-Length`, `Transfer-Encoding`, `Trailer` and a
   * name that occurs twice are rejected with `ERR_OPTION_VALUE`.
   */
  headers?: Readonly<Record<string, string | number | readonly string[]>> | undefined
}

/** The options with all defaults. */
export interface StreamSettings {
  readonly plan: MonitorPlan
  readonly limits: QueueLimits
  readonly stallTimeout: number | false
  readonly notSentLowWater: number | false
  readonly fastPath: boolean
  /** Bytes before the first event: padding and `retry`. */
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

/** `monitorPlan` checks these. */
const pass: Check<never> = (value) => value as never

/** The table of a stream's options. */
export const streamChecks: Checks<EventStreamOptions> = {
  detectWithin: pass,
  heartbeat: checkHeartbeat,
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

/**
 * Validates headers by Node's own rules, so that an invalid list is rejected before any of it is set on the response.
 */
function checkHeaders(value: unknown, name: string): NonNullable<EventStreamOptions['headers']> {
  // A Headers or a Map has its entries elsewhere and would look like an empty object.
  if (typeof value !== 'object' || value === null || Symbol.iterator in value) {
    throw wrongType(name, 'a plain object of header names and values', value)
  }
  const seen = new Set<string>()
  for (const [header, content] of Object.entries(value)) {
    checkHeader(header, content, `${name}.${header}`)
    if (FRAMING.has(header.toLowerCase()))
      throw badHeader(
        name,
        header,
        'describes the end of the response, which Node decides: remove it',
      )
    if (seen.has(header.toLowerCase()))
      throw badHeader(name, header, 'is set twice: remove one of the two')
    seen.add(header.toLowerCase())
  }
  return { ...value }
}

/** Headers that describe the end of a response, which is unknown for a stream. */
const FRAMING = new Set(['content-length', 'trailer', 'transfer-encoding'])

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
 * Checks options and fills in the defaults. Frozen objects are checked once, so that an application with thousands of
 * streams and one constant pays once.
 */
export function streamSettings(options: EventStreamOptions): StreamSettings {
  return checkedOnce(known, options, () =>
    settingsOf(checkOptions(options, streamChecks, 'EventStreamOptions')),
  )
}

/** Returns the result of `check` for an options object. Results for frozen objects are cached. */
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

/** Fills in the defaults of checked options. */
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
