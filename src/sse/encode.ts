// Encodes events. HTML Standard, 9.2.5 "Parsing an event stream" and 9.2.6 "Interpreting an event stream".
//
// Values that a caller passes can never add a field, an event or a comment that the caller did not ask for.
import { TcpSseError } from '../internal/errors.js'
import { wrongType } from '../internal/validate.js'

/** An event as an application sends it. */
export interface EventInput {
  /**
   * A string is sent unchanged, line by line, with each lone surrogate replaced by U+FFFD. Any other value passes
   * through the serializer (JSON by default). If it is absent, the event has no data field, so clients do not dispatch
   * it (HTML Standard, 9.2.6). An event with only `id`, `retry` or `comment` needs no data.
   */
  data?: unknown
  /**
   * The event type. Clients use `message` if it is absent. It must not contain CR, LF, NUL or a lone surrogate. It
   * needs `data`, which may be `''`: clients ignore the type of an event without data.
   */
  event?: string | undefined
  /**
   * The last event ID from this event on: a string or a finite number. `''` resets it. It must not contain CR, LF, NUL
   * (clients would ignore the id: HTML Standard, 9.2.6) or a lone surrogate. Clients return it in a request header, so
   * use printable ASCII without leading or trailing spaces: every client returns such an id unchanged.
   */
  id?: string | number | undefined
  /** The client's reconnection time, in whole milliseconds. */
  retry?: number | undefined
  /** Sent as comment lines before the fields. */
  comment?: string | undefined
  /**
   * Not sent. If the queue of a slow client is full, the policy `coalesce` drops waiting events for which there is a
   * newer one with the same key.
   */
  key?: string | undefined
}

/** Converts data other than a string to a string. */
export type Serialize = (data: unknown) => string

/** Shared by all copies of this library: an application may load it as both ESM and CommonJS. */
const ENCODED = Symbol.for('tcp-sse.EncodedEvent')

/**
 * An encoded event. It is accepted wherever an event is, so that an event for many streams is encoded once. Created by
 * `encodeEvent` and `encodeComment`.
 *
 * @example
 * const tick = encodeEvent({ data: 'tick' })
 * for await (const each of news) each.send(tick)
 */
export class EncodedEvent {
  /** The bytes on the wire, without HTTP framing. */
  readonly bytes: Buffer
  /** The id of the event, for `delivered()` and histories. */
  readonly id: string | undefined
  /** Not sent; see `EventInput.key`. */
  readonly key: string | undefined
  /** Whether this is a comment. It is sent like an event, but not counted as one. */
  readonly isComment: boolean

  /**
   * @throws {TcpSseError} `ERR_EVENT_INVALID` if `bytes` is empty: an empty chunk would end the response
   * @internal
   */
  constructor(bytes: Buffer, id?: string, key?: string, isComment = false) {
    if (!Buffer.isBuffer(bytes) || bytes.length === 0) {
      throw invalid('bytes must be a Buffer that is not empty.')
    }
    if (id !== undefined && typeof id !== 'string') throw invalid('id must be a string.')
    if (key !== undefined && typeof key !== 'string') throw invalid('key must be a string.')
    this.bytes = bytes
    this.id = id
    this.key = key
    this.isComment = isComment
  }

  /** @internal */
  get [ENCODED](): true {
    return true
  }
}

/** Whether a value is an encoded event. */
export function isEncoded(event: unknown): event is EncodedEvent {
  return typeof event === 'object' && event !== null && ENCODED in event
}

/**
 * Encodes an event.
 *
 * @throws {TcpSseError} `ERR_EVENT_INVALID`; `ERR_OPTION_TYPE`, for `serialize`. Errors of `serialize` pass through.
 * @example
 * encodeEvent({ event: 'tick', id: 7, data: { n: 1 } }).bytes.toString()
 * // 'event: tick\nid: 7\ndata: {"n":1}\n\n'
 */
export function encodeEvent(event: EventInput, serialize: Serialize = toJson): EncodedEvent {
  // `events.map(encodeEvent)` passes an index.
  if (typeof serialize !== 'function') throw wrongType('serialize', 'a function', serialize)
  return encodeText(eventText(event, serialize), event)
}

/** Encodes an event from its text. */
export function encodeText(text: string, { id, key }: EventInput): EncodedEvent {
  return new EncodedEvent(Buffer.from(text), idOf(id), key)
}

/** An id in the form in which it is sent. */
export function idOf(id: EventInput['id']): string | undefined {
  return typeof id === 'number' ? String(id) : id
}

/**
 * The text of an event, validated.
 *
 * @throws {TcpSseError} `ERR_EVENT_INVALID`. Errors of `serialize` pass through.
 */
export function eventText(event: EventInput, serialize: Serialize = toJson): string {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) {
    throw invalid('An event must be an object such as { data: … }.')
  }
  for (const name of Object.keys(event)) {
    if (!FIELDS.has(name)) {
      throw invalid(`An event has no field '${name}'. Known fields: ${[...FIELDS].join(', ')}.`)
    }
  }
  const { id, retry, data, comment } = event
  let text = comment === undefined ? '' : lines('', comment)
  if (event.event !== undefined) text += `event: ${oneLine('event', event.event)}\n`
  if (id !== undefined) text += `id: ${oneLine('id', checkedId(id))}\n`
  if (retry !== undefined) text += `retry: ${wholeNumber(retry)}\n`
  if (data !== undefined) {
    text += lines('data', typeof data === 'string' ? data : serialized(data, serialize))
  }
  if (text === '') throw invalid('An event needs at least one field.')
  if (event.event !== undefined && data === undefined) throw invalid(NO_DATA)
  if (event.key !== undefined && typeof event.key !== 'string')
    throw invalid('key must be a string.')
  return `${text}\n`
}

/**
 * Encodes a comment. Clients ignore it, but it counts as traffic for proxies.
 *
 * @throws {TcpSseError} `ERR_EVENT_INVALID` if `text` is not a string
 * @example
 * encodeComment('ping').bytes.toString() // ': ping\n\n'
 */
export function encodeComment(text: string): EncodedEvent {
  return new EncodedEvent(Buffer.from(`${lines('', text)}\n`), undefined, undefined, true)
}

/** Returns a comment of exactly `bytes` bytes, 4 or more. */
export function encodePadding(bytes: number): EncodedEvent {
  return encodeComment(' '.repeat(bytes - COMMENT_FRAME))
}

/** JSON never contains a line break outside an escape. */
export function toJson(data: unknown): string {
  return JSON.stringify(data)
}

/** The length of a comment without its text: a colon, a space, two line ends. */
const COMMENT_FRAME = 4

const FIELDS = new Set(['data', 'event', 'id', 'retry', 'comment', 'key'])

/**
 * HTML Standard, 9.2.6: a client does not dispatch an event whose data buffer is empty. `data:` alone adds a line feed
 * to it.
 */
const NO_DATA = "Clients ignore an event type without data. If there is no data, set data: ''."

/** The three line ends of the standard. */
const LINE_BREAK = /\r\n|\r|\n/

/** Returns one line for each line of the text. Clients remove the space after the colon. */
function lines(field: string, text: unknown): string {
  if (typeof text !== 'string') throw invalid(`${field || 'A comment'} must be a string.`)
  const prefix = `${field}: `
  if (!text.includes('\n') && !text.includes('\r')) return `${prefix}${text}\n`
  return text
    .split(LINE_BREAK)
    .map((line) => `${prefix}${line}\n`)
    .join('')
}

function serialized(data: unknown, serialize: Serialize): string {
  const text = serialize(data)
  if (typeof text !== 'string') {
    throw invalid('The serializer must return a string for the data.')
  }
  return text
}

function oneLine(field: string, value: unknown): string {
  if (typeof value !== 'string') throw invalid(`${field} must be a string.`)
  if (/[\r\n\0]/.test(value)) throw invalid(`${field} must not contain CR, LF or NUL.`)
  // UTF-8 would replace each lone surrogate by U+FFFD, so that several ids could become the same.
  if (/\p{Surrogate}/u.test(value)) throw invalid(`${field} must not contain a lone surrogate.`)
  return value
}

/** Rejects NaN and infinities: several events would share the id `NaN`. */
function checkedId(id: EventInput['id']): string | undefined {
  const fits = typeof id === 'number' ? Number.isFinite(id) : typeof id === 'string'
  if (!fits) throw invalid('id must be a string or a finite number.')
  return idOf(id)
}

/** Clients ignore a `retry` with characters other than ASCII digits. */
function wholeNumber(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw invalid('retry must be a whole number of milliseconds, 0 or more.')
  }
  return value as number
}

function invalid(message: string): TcpSseError {
  return new TcpSseError('ERR_EVENT_INVALID', message)
}
