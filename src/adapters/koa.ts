// Koa 3 (and 2). The stream writes to Node's response, and `ctx.respond` is off.
import type { Middleware } from 'koa'
import type { EventStream } from '../stream/event-stream.js'
import { type EventStreamOptions, streamSettings } from '../stream/options.js'
import { EchoRoute, type EchoRouteOptions, echoHead, isEcho, readBody } from './echo.js'
import { answerWithStream } from './node.js'

declare module 'koa' {
  interface DefaultContext {
    /** The client's stream, after the `eventStream()` middleware. */
    eventStream: EventStream
  }
}

/**
 * Middleware that answers with an event stream and puts it on `ctx.eventStream`. Headers that were
 * set on `ctx` before are sent, and so is the status; 404, Koa's default, becomes 200. Koa does not
 * end the response itself (`ctx.respond = false`). If a later middleware throws, the stream ends
 * with the reason `error`.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`, `ERR_DETECT_WITHIN_TOO_SMALL`, when the middleware is made
 * @example
 * app.use(eventStream({ detectWithin: 10_000 }))
 * app.use((ctx) => { ctx.eventStream.send({ data: 'hello' }) })
 */
export function eventStream(options: EventStreamOptions = {}): Middleware {
  const settings = streamSettings(options)
  return async (ctx, next) => {
    // Koa's default. The setter also sets the text of the status line.
    if (ctx.status === 404) ctx.status = 200
    const stream = answerWithStream(ctx.req, ctx.res, settings)
    ctx.eventStream = stream
    ctx.respond = false
    try {
      await next()
    } catch (error) {
      // Koa reports the error, but never ends a response that has begun.
      stream.fail(error)
      throw error
    }
  }
}

/**
 * Makes the route for echoes (the option `echo` of a stream): middleware before that of the stream.
 * Other requests are passed to `next`.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`, when the middleware is made
 * @example
 * import { echo } from 'tcp-sse/koa'
 *
 * app.use(echo())
 */
export function echo(options: EchoRouteOptions = {}): Middleware {
  const route = new EchoRoute(options)
  return async (ctx, next) => {
    if (!isEcho(ctx.method, ctx.req.headers['content-type'])) return next()
    // A body parser puts its result on Koa's request, not on Node's.
    const { body } = ctx.request as { body?: unknown }
    const status = await route.statusOf(typeof body === 'string' ? body : await readBody(ctx.req))
    ctx.status = status
    ctx.set(echoHead(status, ctx.req.httpVersionMajor === 1))
    ctx.body = null
    ctx.status = status
  }
}
