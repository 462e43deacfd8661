// Fastify 5 (and 4). The stream writes to Node's response, and the reply is hijacked.
import { Http2ServerResponse } from 'node:http2'
import type { FastifyPluginAsync, FastifyReply } from 'fastify'
import type { EventStream } from '../stream/event-stream.js'
import { type EventStreamOptions, streamSettings } from '../stream/options.js'
import { isBypassable } from '../transport/fast/hooks.js'
import { checkForHttp2, refuseBodyless } from '../transport/head.js'
import type { NodeRequest } from '../transport/node-transport.js'
import { EchoRoute, type EchoRouteOptions, echoHead, isEcho, readBody } from './echo.js'
import { answerWithStream } from './node.js'

declare module 'fastify' {
  interface FastifyReply {
    /**
     * Answers with an event stream. The reply is hijacked: the handler's result is ignored, and the
     * hooks `preSerialization` and `onSend` do not run.
     *
     * @param options - override those of the plugin
     * @throws {TcpSseError} as `createEventStream`. Fastify then answers with an error
     */
    eventStream(options?: EventStreamOptions): EventStream
  }
}

/**
 * A plugin that adds `reply.eventStream(options?)` to the instance on which it is registered, and
 * to its children. Its options are the defaults of the streams. Headers and status that were set on
 * the reply before are sent.
 *
 * - Hooks that run: all before the handler, `onRequestAbort` when the client leaves, and
 *   `onResponse` when the stream has ended properly.
 * - Hooks that do not run: `preSerialization`, `onSend`.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`, `ERR_DETECT_WITHIN_TOO_SMALL`, when it is registered
 * @example
 * app.register(eventStream, { detectWithin: 10_000 })
 * app.get('/events', (request, reply) => {
 *   reply.eventStream().send({ data: 'hello' })
 * })
 */
export const eventStream: FastifyPluginAsync<EventStreamOptions> = async (app, options) => {
  const defaults = withoutFastifys(options)
  streamSettings(defaults)
  app.decorateReply('eventStream', function (own?: EventStreamOptions): EventStream {
    return answer(this, own === undefined ? defaults : { ...defaults, ...own })
  })
}

/**
 * The same metadata that the package `fastify-plugin` sets: the decorator belongs to the instance
 * on which the plugin is registered.
 */
Object.assign(eventStream, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'tcp-sse',
  [Symbol.for('plugin-meta')]: { name: 'tcp-sse', fastify: '>=4' },
})

/** The part of Fastify's request that the handler of `echo()` uses, for HTTP/1 and HTTP/2. */
export interface EchoRequest {
  /** The request's method. */
  readonly method: string
  /** The request's headers. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** The body as a content type parser has returned it. */
  readonly body: unknown
  /** Node's request. */
  readonly raw: NodeRequest
}

/** The part of Fastify's reply that the handler of `echo()` uses. */
export interface EchoReply {
  /** Sets the status. */
  code(status: number): EchoReply
  /** Sets headers. */
  headers(values: Record<string, string>): EchoReply
  /** Sends the reply. */
  send(): EchoReply
  /** Answers with 404. */
  callNotFound(): unknown
}

/**
 * Makes the route for echoes (the option `echo` of a stream): the handler of POST on the stream's
 * URL. Other requests get 404.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`, when the handler is made
 * @example
 * import { echo } from 'tcp-sse/fastify'
 *
 * app.post('/events', echo())
 */
export function echo(
  options: EchoRouteOptions = {},
): (request: EchoRequest, reply: EchoReply) => Promise<unknown> {
  const route = new EchoRoute(options)
  return async (request, reply) => {
    if (!isEcho(request.method, String(request.headers['content-type']))) {
      reply.callNotFound()
      return reply
    }
    const { body, raw } = request
    const status = await route.statusOf(typeof body === 'string' ? body : await readBody(raw))
    return reply
      .code(status)
      .headers(echoHead(status, raw.httpVersionMajor === 1))
      .send()
  }
}

function answer(reply: FastifyReply, options: EventStreamOptions): EventStream {
  const { raw, request } = reply
  // If the stream is refused, Fastify must still be able to answer with an error. Check before
  // anything is set on its response.
  const settings = streamSettings(options)
  const headers = reply.getHeaders()
  refuseBodyless(reply.statusCode)
  if (raw instanceof Http2ServerResponse) {
    checkForHttp2(settings.headers, headers, { coding: isBypassable(raw) })
  }
  raw.statusCode = reply.statusCode
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !raw.headersSent) raw.setHeader(name, value)
  }
  const stream = answerWithStream(request.raw, raw, settings)
  reply.hijack()
  return stream
}

/** Removes Fastify's own options: `register` takes both in one object. */
function withoutFastifys(options: EventStreamOptions & RegisterOptions): EventStreamOptions {
  const { prefix: _prefix, logLevel: _level, logSerializers: _serializers, ...own } = options
  return Object.freeze(own)
}

interface RegisterOptions {
  prefix?: unknown
  logLevel?: unknown
  logSerializers?: unknown
}
