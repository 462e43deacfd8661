// Event -> bytes, once. HTML Standard, 9.2.5 "Parsing an event stream" and 9.2.6 "Interpreting an event stream".
//
// What a caller passes can never become a field, an event or a comment that the caller did not ask for.
import { TcpSseError } from '../internal/errors.js'

/** An event as an application sends it. */
export interface EventInput {
  /**
   * A string is sent as it is, line by line, a lone surrogate as U+FFFD; anything else through the serializer (JSON).
   * Absent: no data field, which clients need to dispatch an event. An `id`, a `retry` or a `comment` may go without.
   */
  data?: unknown
  /**
   * The event type; clients take `message` where it is absent. No CR, LF, NUL or lone surrogate. Needs `data`, be it `''`:
   * clients ignore the type of an event without data.
   */
  event?: string | undefined
  /**
   * The last event ID from here on, a string or a finite number; `''` resets it. No CR, LF, NUL (clients would ignore such an id) or lone surrogate.
   * It comes back in a request header: printable ASCII without outer spaces survives in every client.
   */
  id?: string | number | undefined
  /** Reconnection time for the client, whole milliseconds. */
  retry?: number | undefined
  /** Sent as comment lines in front of the fields. */
  comment?: string | undefined
  /** Not sent: of the events with the same key that wait for a slow client, `coalesce` may keep only the newest. */
  key?: string | undefined
}

/** Turns data that is no string into a string. */
export type Serialize = (data: unknown) => string

/** Known to every copy of this library: an application may have loaded it as ESM and as CommonJS. */
const ENCODED = Symbol.for('tcp-sse.EncodedEvent')

/**
 * An event in its final form; accepted wherever an event is, so that it is encoded once for many streams. Made by
 * `encodeEvent` and `encodeComment`.
 *
 * @example
 * const tick = encodeEvent({ data: 'tick' })
 * for await (const each of news) each.send(tick)
 */
export class EncodedEvent {
  /** As they go on the wire, without HTTP's framing. */
  readonly bytes: Buffer
  /** The event's id, for `delivered()` and histories. */
  readonly id: string | undefined
  /** Not sent; see `EventInput.key`. */
  readonly key: string | undefined
  /** Whether clients ignore it: it is sent like an event and not counted as one. */
  readonly isComment: boolean

  /**
   * @throws {TcpSseError} `ERR_EVENT_INVALID` where there are no bytes: a chunk of none would end the response
   * @internal
   */
  constructor(bytes: Buffer, id?: string, key?: string, isComment = false) {
    if (!Buffer.isBuffer(bytes) || bytes.length === 0) {
      throw invalid('An encoded event is a Buffer that is not empty.')
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

/** Whether this is an event in its final form already. */
export function isEncoded(event: unknown): event is EncodedEvent {
  return typeof event === 'object' && event !== null && ENCODED in event
}

/**
 * Encodes an event.
 *
 * @throws {TcpSseError} `ERR_EVENT_INVALID`; what `serialize` throws passes through
 * @example
 * encodeEvent({ event: 'tick', id: 7, data: { n: 1 } }).bytes.toString()
 * // 'event: tick\nid: 7\ndata: {"n":1}\n\n'
 */
export function encodeEvent(event: EventInput, serialize: Serialize = toJson): EncodedEvent {
  return encodeText(eventText(event, serialize), event)
}

/** The event of which this is the text. */
export function encodeText(text: string, { id, key }: EventInput): EncodedEvent {
  return new EncodedEvent(Buffer.from(text), idOf(id), key)
}

/** An id as it is sent. */
export function idOf(id: EventInput['id']): string | undefined {
  return typeof id === 'number' ? String(id) : id
}

/**
 * An event as text, checked.
 *
 * @throws {TcpSseError} `ERR_EVENT_INVALID`; what `serialize` throws passes through
 */
export function eventText(event: EventInput, serialize: Serialize = toJson): string {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) {
    throw invalid('An event is an object such as { data: … }.')
  }
  for (const name of Object.keys(event)) {
    if (!FIELDS.has(name)) {
      throw invalid(`An event has no field '${name}'; there are ${[...FIELDS].join(', ')}.`)
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
 * Encodes a comment: clients ignore it, proxies see traffic.
 *
 * @throws {TcpSseError} `ERR_EVENT_INVALID` for something that is no string
 * @example
 * encodeComment('ping').bytes.toString() // ': ping\n\n'
 */
export function encodeComment(text: string): EncodedEvent {
  return new EncodedEvent(Buffer.from(`${lines('', text)}\n`), undefined, undefined, true)
}

/** A comment of so many bytes, 4 or more. */
export function encodePadding(bytes: number): EncodedEvent {
  return encodeComment(' '.repeat(bytes - COMMENT_FRAME))
}

/** JSON, which never contains a line break of its own. */
export function toJson(data: unknown): string {
  return JSON.stringify(data)
}

/** What a comment has beside its text: a colon, a space, two line ends. */
const COMMENT_FRAME = 4

const FIELDS = new Set(['data', 'event', 'id', 'retry', 'comment', 'key'])

/** HTML Standard, 9.2.6: where the data buffer is empty, nothing is dispatched. `data:` alone adds a line feed to it. */
const NO_DATA = "Clients ignore an event type without data. If there is no data, set data: ''."

/** All three that the standard takes for an end of line. */
const LINE_BREAK = /\r\n|\r|\n/

/** One line for each line of the text. The space after the colon is the one that clients remove. */
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
    throw invalid('The data has no text form: the serializer returned no string.')
  }
  return text
}

function oneLine(field: string, value: unknown): string {
  if (typeof value !== 'string') throw invalid(`${field} must be a string.`)
  if (/[\r\n\0]/.test(value)) throw invalid(`${field} must not contain CR, LF or NUL.`)
  // UTF-8 would make U+FFFD of each: another name, and one that several ids would share.
  if (/\p{Surrogate}/u.test(value)) throw invalid(`${field} must not contain a lone surrogate.`)
  return value
}

/** Several events would share the id `NaN`. */
function checkedId(id: EventInput['id']): string | undefined {
  const fits = typeof id === 'number' ? Number.isFinite(id) : typeof id === 'string'
  if (!fits) throw invalid('id must be a string or a finite number.')
  return idOf(id)
}

/** Clients ignore a `retry` that is not made of ASCII digits only. */
function wholeNumber(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw invalid('retry must be a whole number of milliseconds, 0 or more.')
  }
  return value as number
}

function invalid(message: string): TcpSseError {
  return new TcpSseError('ERR_EVENT_INVALID', message)
}
