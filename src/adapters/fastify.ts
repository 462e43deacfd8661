// Fastify 5 (and 4): the stream writes to Node's response, so Fastify is told to leave the reply alone.
import { Http2ServerResponse } from 'node:http2'
import type { FastifyPluginAsync, FastifyReply } from 'fastify'
import type { EventStream } from '../stream/event-stream.js'
import { type EventStreamOptions, streamSettings } from '../stream/options.js'
import { checkForHttp2, refuseBodyless } from '../transport/head.js'
import type { NodeRequest } from '../transport/node-transport.js'
import { EchoRoute, type EchoRouteOptions, echoHead, isEcho, readBody } from './echo.js'
import { answerWithStream } from './node.js'

declare module 'fastify' {
  interface FastifyReply {
    /**
     * Answers with an event stream. The reply is hijacked: what the handler returns is ignored, and the hooks
     * `preSerialization` and `onSend` do not run.
     *
     * @param options - win over those of the plugin
     * @throws {TcpSseError} as `createEventStream`; the reply is Fastify's still, which answers with an error
     */
    eventStream(options?: EventStreamOptions): EventStream
  }
}

/**
 * A plugin that adds `reply.eventStream(options?)` to the instance on which it is registered, and to those inside of it.
 * Its options are the streams' defaults. Headers and status that were set on the reply before are sent.
 *
 * Hooks that run: all before the handler, `onRequestAbort` when the client leaves, and `onResponse` when the stream
 * has ended properly. Hooks that do not: `preSerialization`, `onSend`.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`, when it is registered
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

/** As the package `fastify-plugin` does it: the decorator is the instance's on which the plugin is registered. */
Object.assign(eventStream, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'tcp-sse',
  [Symbol.for('plugin-meta')]: { name: 'tcp-sse', fastify: '>=4' },
})

/** What the handler of `echo()` needs of Fastify's request, over HTTP/1 and HTTP/2 alike. */
export interface EchoRequest {
  /** As Fastify has it. */
  readonly method: string
  /** As Fastify has it. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** What a content type parser has made of the body. */
  readonly body: unknown
  /** Node's request. */
  readonly raw: NodeRequest
}

/** What the handler of `echo()` needs of Fastify's reply. */
export interface EchoReply {
  /** As Fastify has it. */
  code(status: number): EchoReply
  /** As Fastify has it. */
  headers(values: Record<string, string>): EchoReply
  /** As Fastify has it. */
  send(): EchoReply
  /** As Fastify has it. */
  callNotFound(): unknown
}

/**
 * The route for echoes (the option `echo` of a stream): the handler of POST on the stream's URL. Other requests are not found.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`, when it is made
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
  // What is refused is an error that Fastify can still answer with, so nothing may be on its response by then.
  const settings = streamSettings(options)
  refuseBodyless(reply.statusCode)
  if (raw instanceof Http2ServerResponse) checkForHttp2(settings.headers)
  raw.statusCode = reply.statusCode
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined && !raw.headersSent) raw.setHeader(name, value)
  }
  const stream = answerWithStream(request.raw, raw, settings)
  reply.hijack()
  return stream
}

/** `register` takes options of its own in the same object. */
function withoutFastifys(options: EventStreamOptions & RegisterOptions): EventStreamOptions {
  const { prefix: _prefix, logLevel: _level, logSerializers: _serializers, ...own } = options
  return Object.freeze(own)
}

interface RegisterOptions {
  prefix?: unknown
  logLevel?: unknown
  logSerializers?: unknown
}
