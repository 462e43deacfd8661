// node:http, node:https, and node:http2's compatibility API: turns a request and a response into a
// transport.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { Socket } from 'node:net'
import { TcpSseError } from '../internal/errors.js'
import { socketOf } from '../native/binding.js'
import { refusalOf } from '../stream/admission.js'
import type { EventStream } from '../stream/event-stream.js'
import type { LiveStream } from '../stream/live-stream.js'
import { makeStream } from '../stream/make-stream.js'
import { type EventStreamOptions, type StreamSettings, streamSettings } from '../stream/options.js'
import { Http1Transport } from '../transport/http1.js'
import { Http2Transport } from '../transport/http2.js'
import type { AnyNodeTransport, NodeRequest, NodeResponse } from '../transport/node-transport.js'

export type { NodeRequest, NodeResponse } from '../transport/node-transport.js'

/**
 * Answers a request with an event stream: writes the head at once and returns the stream. If the
 * client has already left, the stream is closed from the start, with the reason. The same happens
 * if the request is refused with 503, because of `drain`, `admission` or `maxStreamsPerConnection`.
 *
 * Headers of the response that describe another body (`Content-Length`, `Transfer-Encoding`,
 * `Trailer`, `Content-Encoding`) are removed. `Content-Encoding` stays if a compressor has replaced
 * methods of the response.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`, `ERR_DETECT_WITHIN_TOO_SMALL`; `ERR_NOT_A_RESPONSE`;
 * `ERR_HEADERS_SENT`; `ERR_STATUS_WITHOUT_BODY`. In these cases nothing has been sent
 * @example
 * http.createServer((req, res) => {
 *   const stream = createEventStream(req, res, { detectWithin: 10_000 })
 *   stream.send({ event: 'tick', id: '1', data: { n: 1 } })
 *   stream.closed.then(({ reason }) => console.log(reason))
 * })
 */
export function createEventStream(
  req: NodeRequest,
  res: NodeResponse,
  options: EventStreamOptions = NO_OPTIONS,
): EventStream {
  return answerWithStream(req, res, streamSettings(options))
}

const NO_OPTIONS: EventStreamOptions = Object.freeze({})

/** The same, with options that were already checked. */
export function answerWithStream(
  req: NodeRequest,
  res: NodeResponse,
  settings: StreamSettings,
): LiveStream {
  if (!isExchange(req, res)) {
    throw new TcpSseError(
      'ERR_NOT_A_RESPONSE',
      `createEventStream(req, res) needs the request and response of a Node server: ${whatIsMissing(req, res)}.`,
    )
  }
  const transport = transportOf(req, res)
  // A response that the application has ended is a mistake of the application; a client that has left is none.
  const isOver = transport.over !== undefined && !res.writableEnded
  const refusal = isOver ? undefined : refusalOf(settings, transport.socket)
  if (refusal !== undefined) transport.refuse(settings, refusal)
  else if (!isOver) transport.open(settings)
  return makeStream(transport, settings, decodeId(req.headers['last-event-id']), refusal)
}

/**
 * Node and the web's `Headers` treat header values as Latin-1; the ids in them are UTF-8 (HTML
 * Standard, 9.2.4).
 */
export function decodeId(header: unknown): string {
  return typeof header === 'string' ? Buffer.from(header, 'latin1').toString() : ''
}

/** The transport for a request and response that `isExchange` has accepted. */
export function transportOf(req: NodeRequest, res: NodeResponse): AnyNodeTransport {
  // By class and not by a `stream` property, because applications add such a property to HTTP/1
  // objects, too.
  if (res instanceof Http2ServerResponse) {
    const http2 = req as Http2ServerRequest
    return new Http2Transport(res, socketBehind(http2.stream.session?.socket))
  }
  return new Http1Transport(res as ServerResponse, socketBehind((req as IncomingMessage).socket))
}

/** Whether these are a request and response of a Node server, judged by their shape. */
export function isExchange(req: unknown, res: unknown): boolean {
  return hasHeaders(req) && hasMethods(res) && hasHeaders((res as NodeResponse).req)
}

function hasHeaders(req: unknown): boolean {
  const { headers } = (req ?? {}) as Partial<NodeRequest>
  return typeof headers === 'object' && headers !== null
}

/** All methods that a stream uses of a response. A mock with fewer would fail later. */
const METHODS = [
  'end',
  'flushHeaders',
  'hasHeader',
  'off',
  'on',
  'removeHeader',
  'setHeader',
  'write',
  'writeHead',
]

function hasMethods(res: unknown): boolean {
  return missingMethods(res).length === 0
}

function missingMethods(res: unknown): string[] {
  const object = (res ?? {}) as Record<string, unknown>
  return METHODS.filter((name) => typeof object[name] !== 'function')
}

/** What `isExchange` misses, for a message. */
function whatIsMissing(req: unknown, res: unknown): string {
  if (!hasHeaders(req)) return 'req has no headers'
  const missing = missingMethods(res)
  if (missing.length > 0) return `res has no ${missing.join(', ')}`
  return 'res.req, the request, has no headers'
}

/**
 * The connection itself, which HTTP/2 hides behind a proxy object. A response can have another
 * carrier than a socket.
 */
function socketBehind(socket: unknown): Socket | undefined {
  return socket instanceof Socket ? socketOf(socket) : undefined
}
