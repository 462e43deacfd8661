// Express 5 (and 4): its request and response are Node's.
import type { NextFunction, Request, RequestHandler, Response } from 'express'
import type { EventStream } from '../stream/event-stream.js'
import { type EventStreamOptions, streamSettings } from '../stream/options.js'
import { answerWithStream } from './node.js'

declare global {
  namespace Express {
    interface Response {
      /** The client's stream, behind the `eventStream()` middleware. */
      eventStream: EventStream
    }
  }
}

/**
 * Middleware that answers with an event stream and puts it on `res.eventStream`.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`, when the middleware is made
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
