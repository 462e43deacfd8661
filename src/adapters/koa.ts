// Koa 3 (and 2): the stream writes to Node's response, so Koa is told to leave it alone.
import type { Middleware } from 'koa'
import type { EventStream } from '../stream/event-stream.js'
import { type EventStreamOptions, streamSettings } from '../stream/options.js'
import { EchoRoute, type EchoRouteOptions, echoHead, isEcho, readBody } from './echo.js'
import { answerWithStream } from './node.js'

declare module 'koa' {
  interface DefaultContext {
    /** The client's stream, behind the `eventStream()` middleware. */
    eventStream: EventStream
  }
}

/**
 * Middleware that answers with an event stream and puts it on `ctx.eventStream`. Headers that were set on `ctx`
 * before are sent; Koa's own end of the response is switched off (`ctx.respond = false`). What a middleware behind it
 * throws ends the stream with reason `error`.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`, when the middleware is made
 * @example
 * app.use(eventStream({ detectWithin: 10_000 }))
 * app.use((ctx) => { ctx.eventStream.send({ data: 'hello' }) })
 */
export function eventStream(options: EventStreamOptions = {}): Middleware {
  const settings = streamSettings(options)
  return async (ctx, next) => {
    ctx.res.statusCode = 200
    const stream = answerWithStream(ctx.req, ctx.res, settings)
    ctx.eventStream = stream
    ctx.respond = false
    try {
      await next()
    } catch (error) {
      // Koa reports it, and would leave a response that has begun open for ever.
      stream.fail(error)
      throw error
    }
  }
}

/**
 * The route for echoes (the option `echo` of a stream): middleware before the stream's own. Requests that are no echoes go on to
 * the next one.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`, when it is made
 * @example
 * import { echo } from 'tcp-sse/koa'
 *
 * app.use(echo())
 */
export function echo(options: EchoRouteOptions = {}): Middleware {
  const route = new EchoRoute(options)
  return async (ctx, next) => {
    if (!isEcho(ctx.method, ctx.req.headers['content-type'])) return next()
    // A body parser has put what it read on Koa's request, and not on Node's.
    const { body } = ctx.request as { body?: unknown }
    const status = await route.statusOf(typeof body === 'string' ? body : await readBody(ctx.req))
    ctx.status = status
    ctx.set(echoHead(status, ctx.req.httpVersionMajor === 1))
    ctx.body = null
    ctx.status = status
  }
}
