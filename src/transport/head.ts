// The head of a stream's response, and of the 503 in place of one: what goes into it, what is taken off, what is refused.
import type { OutgoingHttpHeader, OutgoingHttpHeaders } from 'node:http'
import { TcpSseError } from '../internal/errors.js'

type OwnHeaders = Readonly<Record<string, string | number | readonly string[]>> | undefined

/** What a transport needs to know of a stream's options. */
export interface TransportSettings {
  /** Further response headers; they win over the stream's own. */
  readonly headers: OwnHeaders
  readonly fastPath: boolean
}

/** Why a request gets 503 in place of a stream. */
export interface Refusal {
  readonly reason: 'drained' | 'refused'
  /** Seconds, for `Retry-After`. */
  readonly retryAfter: number
  /** The body of the answer. */
  readonly message: string
}

/** Anything but the head is refused: `no-transform` keeps compressors away, the X- header nginx's buffer. */
const HEADERS = {
  // Without a charset some clients decode `text/*` as ISO-8859-1.
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
}

/**
 * The head of a stream. The application's own headers win, however they are spelt (RFC 9110, 5.1).
 *
 * @param multiplexed - whether it goes over HTTP/2, which has no Connection header (RFC 9113, 8.2.2)
 */
export function headOf(own: OwnHeaders = {}, multiplexed = false): OutgoingHttpHeaders {
  const head: OutgoingHttpHeaders = { ...HEADERS }
  for (const [name, value] of Object.entries(own)) {
    const lower = name.toLowerCase()
    delete head[lower]
    if (!multiplexed || lower !== 'connection') head[name] = value as OutgoingHttpHeader
  }
  return head
}

/**
 * An empty comment that goes with each stream's head, as a part of it: some proxies and clients hold the head back until
 * the first byte of the body comes.
 */
export const FIRST_BYTES: Buffer = Buffer.from(':\n\n')

/** In place of the stream's own head; the application's further headers (CORS) stay. */
const REFUSED: OutgoingHttpHeaders = {
  'content-type': 'text/plain; charset=utf-8',
  'cache-control': 'no-store',
}

/** RFC 9110, 15.6.4: Service Unavailable. */
export const REFUSED_STATUS = 503 as const

/**
 * The answer to a request that is turned away.
 *
 * @param closes - whether the connection can be closed by a header, as that of HTTP/1 can
 */
export function refusedAnswer(
  headers: OwnHeaders,
  { reason, retryAfter, message }: Refusal,
  closes: boolean,
  multiplexed = false,
): { head: OutgoingHttpHeaders; body: string } {
  const head: OutgoingHttpHeaders = {
    ...without(headOf(headers, multiplexed), REFUSED),
    ...REFUSED,
  }
  head['retry-after'] = String(retryAfter)
  // A server that goes would have to wait for the connection's next request.
  if (reason === 'drained' && closes) head.connection = 'close'
  return { head, body: `${message}\n` }
}

function without(head: OutgoingHttpHeaders, names: object): OutgoingHttpHeaders {
  return Object.fromEntries(
    Object.entries(head).filter(([name]) => !Object.hasOwn(names, name.toLowerCase())),
  )
}

/** What is about an HTTP/1 connection; HTTP/2 forbids it (RFC 9113, 8.2.2), and Node throws an error of its own. */
const OF_CONNECTION: readonly string[] = [
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'upgrade',
]

/** A response, as far as its headers are concerned. */
interface Headed {
  hasHeader(name: string): boolean
  setHeader(name: string, value: string): unknown
  removeHeader(name: string): void
}

/**
 * Takes off the response what cannot go with a stream, or with the 503 in its place: what is about another body, an
 * upstream's perhaps, and what its protocol forbids.
 */
export function takeOff(
  res: Headed,
  { version, coding }: { version: string; coding: boolean },
): void {
  const remove = (name: string): void => {
    if (res.hasHeader(name)) res.removeHeader(name)
  }
  remove('content-length')
  if (coding) remove('content-encoding')
  if (version.startsWith('2')) for (const name of OF_CONNECTION) remove(name)
  // A response of HTTP/1.1 from which it was removed gets no chunks from Node any more.
  if (version !== '1.1') remove('transfer-encoding')
  else if (res.hasHeader('transfer-encoding')) res.setHeader('transfer-encoding', 'chunked')
}

/** Statuses whose responses have no body (RFC 9110, 15.3.5, 15.3.6, 15.4.5); 1xx come before the response. */
const BODYLESS = new Set([204, 205, 304])

/** @throws {TcpSseError} `ERR_STATUS_WITHOUT_BODY` */
export function refuseBodyless(status: number, cause?: unknown): void {
  if (!BODYLESS.has(status) && !(status >= 100 && status < 200)) return
  throw new TcpSseError(
    'ERR_STATUS_WITHOUT_BODY',
    `The response has status ${status}, which has no body and so cannot carry an event stream.`,
    { cause },
  )
}

/** What HTTP/2 in Node takes one value of; it throws an error of its own for an array of several. */
const SINGLE =
  /^(access-control-(allow-credentials|max-age|request-method)|age|(proxy-)?authorization|content-(encoding|language|location|md5|range|type)|date|dnt|etag|expires|from|host|if-.*|last-modified|location|max-forwards|range|referer|retry-after|tk|upgrade-insecure-requests|user-agent|x-content-type-options)$/

/**
 * Checks the `headers` option for HTTP/2.
 *
 * @throws {TcpSseError} `ERR_OPTION_VALUE`
 */
export function checkForHttp2(own: OwnHeaders = {}): void {
  for (const [name, value] of Object.entries(own)) {
    const lower = name.toLowerCase()
    if (lower !== 'connection' && OF_CONNECTION.includes(lower)) {
      throw badHeader(name, 'is a header of HTTP/1 connections, which HTTP/2 forbids')
    }
    if (Array.isArray(value) && value.length !== 1 && SINGLE.test(lower)) {
      throw badHeader(name, 'takes one value over HTTP/2')
    }
  }
}

function badHeader(name: string, what: string): TcpSseError {
  const option = `EventStreamOptions.headers.${name}`
  return new TcpSseError('ERR_OPTION_VALUE', `${option} ${what}.`, { option })
}
