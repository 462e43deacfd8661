// Express 5 (and 4), whose request and response are Node's.
import type { NextFunction, Request, RequestHandler, Response } from 'express'
import type { EventStream } from '../stream/event-stream.js'
import { type EventStreamOptions, streamSettings } from '../stream/options.js'
import { answerEcho, EchoRoute, type EchoRouteOptions, isEcho } from './echo.js'
import { answerWithStream } from './node.js'

declare global {
  namespace Express {
    interface Response {
      /** The client's stream, after the `eventStream()` middleware. */
      eventStream: EventStream
    }
  }
}

/**
 * Middleware that answers with an event stream and puts it on `res.eventStream`.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`, `ERR_DETECT_WITHIN_TOO_SMALL`, when the middleware is made
 * @example
 * app.get('/events', eventStream({ detectWithin: 10_000 }), (req, res) => {
 *   res.eventStream.send({ data: 'hello' })
 * })
 */
export function eventStream(options: EventStreamOptions = {}): RequestHandler {
  const settings = streamSettings(options)
  return (req: Request, res: Response, next: NextFunction) => {
    res.eventStream = answerWithStream(req, res, settings)
    next()
  }
}

/**
 * Makes the route for echoes (the option `echo` of a stream): a handler for POST on the stream's
 * URL, or middleware before other handlers for it. Other requests are passed to `next`.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`, when the handler is made
 * @example
 * import { echo } from 'tcp-sse/express'
 *
 * app.post('/events', echo())
 */
export function echo(options: EchoRouteOptions = {}): RequestHandler {
  const route = new EchoRoute(options)
  return (req: Request, res: Response, next: NextFunction) => {
    if (isEcho(req.method, req.headers['content-type'])) void answerEcho(route, req, res)
    else next()
  }
}
