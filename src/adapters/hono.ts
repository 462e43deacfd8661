// Hono, on all its runtimes. Its context has what `createEventResponse` needs.
import type { Context, MiddlewareHandler } from 'hono'
import { TcpSseError } from '../internal/errors.js'
import { OF_CONNECTION, ofAnotherBody, REFUSED_STATUS, refuseBodyless } from '../transport/head.js'
import type { EchoRouteOptions } from './echo.js'
import {
  createEventResponse,
  type EventResponse,
  type EventResponseOptions,
  echo as echoOfRequest,
} from './web.js'

/**
 * Answers with an event stream in a Hono handler. Status and headers that were set on `c` before
 * are sent. Node's request and response are taken from `c.env`, where @hono/node-server puts them.
 * See `createEventResponse` for what the stream knows about the connection on each server.
 *
 * @throws {TcpSseError} as `createEventResponse`; `ERR_STATUS_WITHOUT_BODY`
 * @example
 * app.get('/events', (c) => {
 *   const { response, stream } = eventStream(c, { detectWithin: 10_000 })
 *   stream.send({ data: 'hello' })
 *   return response
 * })
 */
export function eventStream(c: Context, options: EventResponseOptions = {}): EventResponse {
  refuseBodyless(statusOf(c))
  const { response, stream } = createEventResponse(c.req.raw, options, c.env)
  const { body, headers } = response
  // The status of the context is the stream's, not that of a refused request.
  const init =
    response.status === REFUSED_STATUS ? { status: REFUSED_STATUS, headers } : { headers }
  try {
    // Hono adds the status and headers of its context only to a Response that it makes itself.
    const answer = c.newResponse(body, init)
    for (const name of REMOVED) answer.headers.delete(name)
    if (isHttp2(c.env)) for (const name of OF_CONNECTION) answer.headers.delete(name)
    return { response: answer, stream }
  } catch (error) {
    // No client will read this body, and no other code can inform the stream.
    void body?.cancel()
    throw error
  }
}

/**
 * Makes the route for echoes (the option `echo` of a stream): a handler for POST on the stream's
 * URL, or middleware before other handlers for it. Other requests are passed to `next`.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`, when the handler is made
 * @example
 * import { echo } from 'tcp-sse/hono'
 *
 * app.post('/events', echo())
 */
export function echo(options: EchoRouteOptions = {}): MiddlewareHandler {
  const answersEcho = echoOfRequest(options)
  return async (c, next) => {
    const answer = await answersEcho(c.req.raw)
    if (answer === undefined) return next()
    // Hono adds the headers of its context only to a Response that it makes itself.
    return c.newResponse(null, { status: answer.status as 200, headers: answer.headers })
  }
}

/** Headers of the context that describe another body, for example that of an upstream, or its framing. */
const REMOVED = [...ofAnotherBody({ coding: true }), 'transfer-encoding']

/** Whether @hono/node-server has put a request over HTTP/2 into the context. */
function isHttp2(env: unknown): boolean {
  const { incoming } = (env ?? {}) as { incoming?: { httpVersionMajor?: number } }
  return incoming?.httpVersionMajor === 2
}

/** The status of the context. Hono does not expose it, except on responses that it makes. */
function statusOf(c: Context): number {
  try {
    return c.newResponse(null).status
  } catch (cause) {
    // 1xx: a Response cannot have such a status.
    throw new TcpSseError('ERR_STATUS_WITHOUT_BODY', (cause as Error).message, { cause })
  }
}
