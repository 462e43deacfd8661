// The head of a stream's response, and of the 503 that replaces one: which headers it gets, which are removed, which
// are rejected.
import type { OutgoingHttpHeader, OutgoingHttpHeaders } from 'node:http'
import { TcpSseError } from '../internal/errors.js'

type OwnHeaders = Readonly<Record<string, string | number | readonly string[]>> | undefined

/** The options of a stream that a transport needs. */
export interface TransportSettings {
  /** Additional response headers. They override the stream's own. */
  readonly headers: OwnHeaders
  readonly fastPath: boolean
}

/** Why a request gets 503 instead of a stream. */
export interface Refusal {
  readonly reason: 'drained' | 'refused'
  /** The value of `Retry-After`, in seconds. */
  readonly retryAfter: number
  /** The body of the response. */
  readonly message: string
}

/** The stream's own headers. `no-transform` keeps compressors away, and the X- header disables nginx's buffer. */
const HEADERS = {
  // Without a charset, some clients decode `text/*` as ISO-8859-1.
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
}

/**
 * The head of a stream. The application's headers override the stream's own; names are case-insensitive (RFC 9110,
 * 5.1).
 *
 * @param multiplexed - whether the response uses HTTP/2, which has no Connection header (RFC 9113, 8.2.2)
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
 * An empty comment that is sent with each stream's head: some proxies and clients hold the head back until the first
 * byte of the body arrives.
 */
export const FIRST_BYTES: Buffer = Buffer.from(':\n\n')

/** Replaces the stream's own headers in a 503. The application's additional headers (CORS) stay. */
const REFUSED: OutgoingHttpHeaders = {
  'content-type': 'text/plain; charset=utf-8',
  'cache-control': 'no-store',
}

/** RFC 9110, 15.6.4: Service Unavailable. */
export const REFUSED_STATUS = 503 as const

/**
 * The response to a rejected request.
 *
 * @param closes - whether a header can close the connection, as in HTTP/1
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
  // Otherwise a server that shuts down would have to wait for the connection's next request.
  if (reason === 'drained' && closes) head.connection = 'close'
  return { head, body: `${message}\n` }
}

function without(head: OutgoingHttpHeaders, names: object): OutgoingHttpHeaders {
  return Object.fromEntries(
    Object.entries(head).filter(([name]) => !Object.hasOwn(names, name.toLowerCase())),
  )
}

/** Headers of an HTTP/1 connection. HTTP/2 forbids them (RFC 9113, 8.2.2), and Node would throw its own error. */
export const OF_CONNECTION: readonly string[] = [
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'upgrade',
]

/** The header methods of a response. */
interface Headed {
  hasHeader(name: string): boolean
  setHeader(name: string, value: string): unknown
  removeHeader(name: string): void
}

/** How a response is made fit for a stream. */
export interface Fit {
  /** The version of HTTP, as in `req.httpVersion`. */
  readonly version: string
  /** Whether `Content-Encoding` is removed: no other code does the encoding. */
  readonly coding: boolean
  /** Whether a 503 replaces the stream. */
  readonly refused?: boolean
}

/** Headers that describe another body, such as an upstream's. */
export function ofAnotherBody({ coding }: Pick<Fit, 'coding'>): readonly string[] {
  return coding ? OF_ENCODED_BODY : OF_BODY
}

/** `Trailer` announces fields after the body, which a stream does not send. */
const OF_BODY: readonly string[] = ['content-length', 'trailer']
const OF_ENCODED_BODY: readonly string[] = [...OF_BODY, 'content-encoding']

/**
 * Removes headers that a stream, or the 503 that replaces it, cannot have: those that describe another body, such as an
 * upstream's, and those that the protocol forbids.
 */
export function takeOff(res: Headed, fit: Fit): void {
  const { version } = fit
  const remove = (name: string): void => {
    if (res.hasHeader(name)) res.removeHeader(name)
  }
  for (const name of ofAnotherBody(fit)) remove(name)
  if (version.startsWith('2')) for (const name of OF_CONNECTION) remove(name)
  // If the header was removed from an HTTP/1.1 response, Node would no longer send chunks.
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
    `The response has status ${status}, which has no body and cannot carry an event stream. Set another status.`,
    { cause },
  )
}

/** Headers that may have only one value in Node's HTTP/2, which would throw its own error for several. */
const SINGLE =
  /^(access-control-(allow-credentials|max-age|request-method)|age|(proxy-)?authorization|content-(encoding|language|location|md5|range|type)|date|dnt|etag|expires|from|host|if-.*|last-modified|location|max-forwards|range|referer|retry-after|tk|upgrade-insecure-requests|user-agent|x-content-type-options)$/

/**
 * Checks the `headers` option, and the headers that are on the response already and stay there, for HTTP/2.
 *
 * @throws {TcpSseError} `ERR_OPTION_VALUE`
 */
export function checkForHttp2(
  own: OwnHeaders = {},
  already: object = {},
  fit: Pick<Fit, 'coding' | 'refused'> = { coding: true },
): void {
  const replaced = new Set([...Object.keys(HEADERS), ...ofAnotherBody(fit)])
  if (fit.refused) replaced.add('retry-after')
  for (const [name, value] of Object.entries(own)) {
    const lower = name.toLowerCase()
    replaced.add(lower)
    if (lower !== 'connection' && OF_CONNECTION.includes(lower)) {
      throw badHeader(name, 'describes an HTTP/1 connection and is forbidden in HTTP/2: remove it')
    }
    if (Array.isArray(value) && value.length !== 1 && SINGLE.test(lower)) {
      throw badHeader(name, 'must have a single value over HTTP/2')
    }
  }
  for (const [name, value] of Object.entries(already)) {
    const lower = name.toLowerCase()
    // Node omits a header without values.
    if (Array.isArray(value) && value.length > 1 && SINGLE.test(lower) && !replaced.has(lower)) {
      throw new TcpSseError(
        'ERR_OPTION_VALUE',
        `The response's header ${name} must have a single value over HTTP/2.`,
      )
    }
  }
}

function badHeader(name: string, what: string): TcpSseError {
  const option = `EventStreamOptions.headers.${name}`
  return new TcpSseError('ERR_OPTION_VALUE', `${option} ${what}.`, { option })
}
