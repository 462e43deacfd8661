// The web's Request and Response, for Hono, srvx, Next.js route handlers, Bun and Deno.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { TcpSseError } from '../internal/errors.js'
import { type Checks, checkOptions, integer } from '../internal/validate.js'
import { refusalOf } from '../stream/admission.js'
import type { EventStream } from '../stream/event-stream.js'
import { makeStream } from '../stream/make-stream.js'
import {
  checkedOnce,
  type EventStreamOptions,
  type StreamSettings,
  settingsOf,
  streamChecks,
} from '../stream/options.js'
import { headOf, REFUSED_STATUS, refusedAnswer } from '../transport/head.js'
import type { AnyNodeTransport } from '../transport/node-transport.js'
import { WebTransport } from '../transport/web.js'
import { EchoRoute, type EchoRouteOptions, echoHead, isEcho, readWebBody } from './echo.js'
import { decodeId, isExchange, transportOf } from './node.js'

/** Options of `createEventResponse`: those of a stream, and one for the body. */
export interface EventResponseOptions extends EventStreamOptions {
  /**
   * Bytes that may wait in the body for its reader before `send` returns `queued`, 1 or more. The
   * HTTP server that reads the body has a buffer of its own, in addition to this one.
   * @defaultValue 16 384
   */
  highWaterMark?: number | undefined
}

/** A response and its stream. */
export interface EventResponse {
  /** The handler must return it. */
  readonly response: Response
  /** The stream. Events that are sent before the response is returned wait in the body. */
  readonly stream: EventStream
}

/**
 * What @hono/node-server passes to `fetch` as its second argument, and Hono to handlers as `c.env`.
 */
export interface NodeBindings {
  /** The request. */
  readonly incoming: IncomingMessage | Http2ServerRequest
  /** The response that the body is written to. */
  readonly outgoing: ServerResponse | Http2ServerResponse
}

/**
 * Answers a web `Request` with a `Response` whose body is an event stream. Unlike
 * `createEventStream`, which writes to an existing response, it sends nothing until the handler has
 * returned the response.
 *
 * If the server exposes Node's request and response, the connection is watched as usual:
 * `detectWithin` applies, the reasons are exact, and `inspect()`, `verdict` and `buffered()` return
 * values. The objects are found in `env` (@hono/node-server), or on the request itself
 * (`request.runtime.node`, srvx and h3). On other servers the kernel cannot be asked: `inspect()`
 * returns `undefined`, `verdict` stays `alive`, and the stream ends when the body is cancelled or
 * `request.signal` aborts. Heartbeats and `stallTimeout` work there, too. In both cases
 * `delivered()` is `undefined` and confirmations are `unknown`, because the bytes pass through a
 * writer of the server.
 *
 * @param env - the second argument of the server's `fetch`; a value without Node's objects is
 * ignored
 * @throws {TcpSseError} `ERR_OPTION_*`, `ERR_DETECT_WITHIN_TOO_SMALL`; `ERR_NOT_A_REQUEST`;
 * `ERR_HEADERS_SENT`
 * @example
 * import { serve } from '@hono/node-server'
 *
 * serve({
 *   fetch(request, env) {
 *     const { response, stream } = createEventResponse(request, { detectWithin: 10_000 }, env)
 *     stream.send({ data: 'hello' })
 *     return response
 *   },
 * })
 */
export function createEventResponse(
  request: Request,
  options: EventResponseOptions = NO_OPTIONS,
  env?: unknown,
): EventResponse {
  const { highWaterMark, settings } = responseSettings(options)
  checkRequest(request)
  const below = nodeTransportOf(request, env)
  below?.makeFit(settings)
  const { multiplexed = false } = below ?? {}
  const transport = new WebTransport(below, {
    highWaterMark,
    signal: request.signal,
    headOnly: request.method === 'HEAD',
  })
  const lastEventId = decodeId(request.headers.get('last-event-id'))
  const refusal = transport.over !== undefined ? undefined : refusalOf(settings, transport.socket)
  if (refusal !== undefined) {
    below?.expectLength()
    const closes = below?.multiplexed === false
    const { head, body } = refusedAnswer(settings.headers, refusal, closes, multiplexed)
    const response = new Response(body, { status: REFUSED_STATUS, headers: headersOf(head) })
    return { response, stream: makeStream(transport, settings, lastEventId, refusal) }
  }
  if (transport.over === undefined) below?.prepare()
  const head = headOf(settings.headers, multiplexed)
  const response = new Response(transport.body, { headers: headersOf(head) })
  return { response, stream: makeStream(transport, settings, lastEventId) }
}

/**
 * Makes the route for echoes (the option `echo` of a stream): a POST to the same URL.
 *
 * @returns a function that answers echoes. For other requests it resolves to `undefined` and leaves
 * the body alone
 * @throws {TcpSseError} `ERR_OPTION_*`
 * @example
 * import { createEventResponse, echo } from 'tcp-sse/web'
 *
 * const answersEcho = echo()
 * const handler = async (request: Request): Promise<Response> =>
 *   (await answersEcho(request)) ?? createEventResponse(request, { echo: { beat: 5_000 } }).response
 */
export function echo(
  options: EchoRouteOptions = {},
): (request: Request) => Promise<Response | undefined> {
  const route = new EchoRoute(options)
  return async (request) => {
    if (!isEcho(request.method, request.headers.get('content-type'))) return undefined
    const status = await route.statusOf(await readWebBody(request))
    return new Response(null, { status, headers: echoHead(status, false) })
  }
}

const DEFAULT_HIGH_WATER_MARK = 16 * 1024

const NO_OPTIONS: EventResponseOptions = Object.freeze({})

const checks: Checks<EventResponseOptions> = {
  ...streamChecks,
  highWaterMark: integer('bytes', { min: 1, max: Number.MAX_SAFE_INTEGER }),
}

interface ResponseSettings {
  readonly highWaterMark: number
  readonly settings: StreamSettings
}

const known = new WeakMap<EventResponseOptions, ResponseSettings>()

function responseSettings(options: EventResponseOptions): ResponseSettings {
  return checkedOnce(known, options, () => {
    const { highWaterMark = DEFAULT_HIGH_WATER_MARK, ...given } = checkOptions(
      options,
      checks,
      'EventResponseOptions',
    )
    return { highWaterMark, settings: settingsOf(given) }
  })
}

function checkRequest(request: Request): void {
  const { headers, signal } = (request ?? {}) as Partial<Request>
  if (typeof headers?.get === 'function' && typeof signal?.aborted === 'boolean') return
  throw new TcpSseError('ERR_NOT_A_REQUEST', 'createEventResponse needs a web Request.')
}

/** Node's response to which the body will be written, if the server exposes it. */
function nodeTransportOf(request: Request, env: unknown): AnyNodeTransport | undefined {
  const { incoming, outgoing } = (env ?? {}) as Partial<NodeBindings>
  if (isExchange(incoming, outgoing)) return transportOf(incoming as never, outgoing as never)
  const { req, res } = (request as RuntimeRequest).runtime?.node ?? {}
  return isExchange(req, res) ? transportOf(req as never, res as never) : undefined
}

interface RuntimeRequest extends Request {
  readonly runtime?: { readonly node?: { readonly req?: unknown; readonly res?: unknown } }
}

function headersOf(head: ReturnType<typeof headOf>): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(head)) {
    for (const each of Array.isArray(value) ? value : [value]) headers.append(name, String(each))
  }
  return headers
}
