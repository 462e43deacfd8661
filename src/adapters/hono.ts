// Hono, on whatever it runs: what `createEventResponse` needs is in its context.
import type { Context, MiddlewareHandler } from 'hono'
import { TcpSseError } from '../internal/errors.js'
import { REFUSED_STATUS, refuseBodyless } from '../transport/head.js'
import type { EchoRouteOptions } from './echo.js'
import {
  createEventResponse,
  type EventResponse,
  type EventResponseOptions,
  echo as echoOfRequest,
} from './web.js'

/**
 * Answers with an event stream, in a Hono handler. Status and headers that were set on `c` before are sent; `c.env` is searched for
 * Node's request and response, which @hono/node-server puts there. See `createEventResponse` for what is known where.
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
  // The context's status is the stream's, not that of a request that is turned away.
  const init =
    response.status === REFUSED_STATUS ? { status: REFUSED_STATUS, headers } : { headers }
  try {
    // To a bare Response, Hono would not add the status and headers of its context.
    const answer = c.newResponse(body, init)
    for (const name of OF_ANOTHER_BODY) answer.headers.delete(name)
    return { response: answer, stream }
  } catch (error) {
    // Nobody will read this body, and nobody else could tell the stream.
    void body?.cancel()
    throw error
  }
}

/**
 * The route for echoes (the option `echo` of a stream): a handler for POST on the stream's URL, or middleware before whatever
 * else takes POST there. Requests that are no echoes go on to the next one.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`, when it is made
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
    // To a bare Response, Hono would not add the headers of its context.
    return c.newResponse(null, { status: answer.status as 200, headers: answer.headers })
  }
}

/** Headers of the context's that are about another body, an upstream's perhaps. */
const OF_ANOTHER_BODY = ['content-length', 'transfer-encoding', 'content-encoding']

/** Hono keeps the context's status to itself; a response that it makes has it. */
function statusOf(c: Context): number {
  try {
    return c.newResponse(null).status
  } catch (cause) {
    // 1xx: no Response has such a status.
    throw new TcpSseError('ERR_STATUS_WITHOUT_BODY', (cause as Error).message, { cause })
  }
}
