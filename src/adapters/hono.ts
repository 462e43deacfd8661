// Hono, on whatever it runs: what `createEventResponse` needs is in its context.
import type { Context } from 'hono'
import { createEventResponse, type EventResponse, type EventResponseOptions } from './web.js'

/**
 * Answers with an event stream, in a Hono handler. Status and headers that were set on `c` before are sent; `c.env` is searched for
 * Node's request and response, which @hono/node-server puts there. See `createEventResponse` for what is known where.
 *
 * @throws {TcpSseError} as `createEventResponse`
 * @example
 * app.get('/events', (c) => {
 *   const { response, stream } = eventStream(c, { detectWithin: 10_000 })
 *   stream.send({ data: 'hello' })
 *   return response
 * })
 */
export function eventStream(c: Context, options: EventResponseOptions = {}): EventResponse {
  const { response, stream } = createEventResponse(c.req.raw, options, c.env)
  // To a bare Response, Hono would not add the status and headers of its context.
  return { response: c.newResponse(response.body, { headers: response.headers }), stream }
}
