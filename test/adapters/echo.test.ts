// The echo's route in every framework, with the client that it is for, over the protocols that `fetch` of Node speaks.
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { Agent, fetch as undiciFetch } from 'undici'
import { afterEach, describe, expect, it } from 'vitest'
import * as ofExpress from '../../src/adapters/express.js'
import * as ofFastify from '../../src/adapters/fastify.js'
import * as ofHono from '../../src/adapters/hono.js'
import * as ofKoa from '../../src/adapters/koa.js'
import * as ofWeb from '../../src/adapters/web.js'
import { liveFetch } from '../../src/client/index.js'
import {
  createEventStream,
  type EventStream,
  type EventStreamOptions,
  echo,
} from '../../src/index.js'
import {
  adaptorServer,
  listen,
  type Protocol,
  type Running,
  serverOf,
  tls,
} from '../support/framework-servers.js'
import { waitFor } from '../support/wait-for.js'

const OPTIONS: EventStreamOptions = { echo: { beat: 200, silence: 800 } }

/** What each does with a POST that is no echo. */
const OTHER = 'not an echo'

type Serve = (protocol: Protocol, onStream: (stream: EventStream) => void) => Promise<Running>

const servers: Record<string, { protocols: Protocol[]; serve: Serve }> = {
  node: {
    protocols: ['http', 'https', 'http2'],
    serve: (protocol, onStream) => {
      const answersEcho = echo()
      return listen(
        serverOf(protocol, (req, res) => {
          if (answersEcho(req, res)) return
          if (req.method === 'POST') res.end(OTHER)
          else onStream(createEventStream(req, res, OPTIONS))
        }),
      )
    },
  },
  express: {
    protocols: ['http', 'https'],
    serve: (protocol, onStream) => {
      const app = express()
      app.get('/', ofExpress.eventStream(OPTIONS), (_req, res) => onStream(res.eventStream))
      app.post('/', ofExpress.echo(), (_req, res) => void res.end(OTHER))
      return listen(serverOf(protocol, app))
    },
  },
  'express behind express.text()': {
    protocols: ['http'],
    serve: (protocol, onStream) => {
      const app = express()
      app.use(express.text(), express.json())
      app.get('/', ofExpress.eventStream(OPTIONS), (_req, res) => onStream(res.eventStream))
      app.post('/', ofExpress.echo(), (_req, res) => void res.end(OTHER))
      return listen(serverOf(protocol, app))
    },
  },
  koa: {
    protocols: ['http', 'https', 'http2'],
    serve: (protocol, onStream) => {
      const app = new Koa()
      app.use(ofKoa.echo())
      app.use(async (ctx, next) => {
        if (ctx.method !== 'POST') return next()
        ctx.body = OTHER
      })
      app.use(ofKoa.eventStream(OPTIONS))
      app.use((ctx) => onStream(ctx.eventStream))
      return listen(serverOf(protocol, app.callback()))
    },
  },
  fastify: {
    protocols: ['http', 'https', 'http2'],
    serve: async (protocol, onStream) => {
      const secure = protocol === 'http' ? {} : { https: tls }
      const app = fastify({ ...secure, http2: protocol === 'http2' } as never)
      await app.register(ofFastify.eventStream, OPTIONS)
      app.get('/', (_request, reply) => onStream(reply.eventStream()))
      app.post('/', ofFastify.echo())
      app.setNotFoundHandler((_request, reply) => reply.code(200).send(OTHER))
      await app.listen({ port: 0, host: '127.0.0.1' })
      const { port } = app.server.address() as { port: number }
      return { port, close: () => void app.close() }
    },
  },
  hono: {
    protocols: ['http', 'https', 'http2'],
    serve: (protocol, onStream) => {
      const app = new Hono()
      app.get('/', (c) => {
        const { response, stream } = ofHono.eventStream(c, OPTIONS)
        onStream(stream)
        return response
      })
      app.post('/', ofHono.echo(), (c) => c.text(OTHER))
      return listen(adaptorServer(protocol, app.fetch))
    },
  },
  web: {
    protocols: ['http', 'https', 'http2'],
    serve: (protocol, onStream) => {
      const answersEcho = ofWeb.echo()
      const answer = async (request: Request, env: unknown): Promise<Response> => {
        const answered = await answersEcho(request)
        if (answered !== undefined) return answered
        if (request.method === 'POST') return new Response(OTHER)
        const { response, stream } = ofWeb.createEventResponse(request, OPTIONS, env)
        onStream(stream)
        return response
      }
      return listen(adaptorServer(protocol, answer))
    },
  },
}

let cleanup: (() => void)[] = []
afterEach(() => {
  for (const each of cleanup.reverse()) each()
  cleanup = []
})

/** A `fetch` that trusts our certificate, over HTTP/1.1 or HTTP/2. */
function fetchOver(protocol: Protocol): typeof fetch {
  const dispatcher = new Agent({
    allowH2: protocol === 'http2',
    connect: { rejectUnauthorized: false },
  })
  cleanup.push(() => void dispatcher.destroy())
  return ((input: string, init: object) =>
    undiciFetch(input, { ...init, dispatcher })) as unknown as typeof fetch
}

for (const [name, { protocols, serve }] of Object.entries(servers)) {
  describe(`echoes to ${name}`, () => {
    it.each(protocols)(
      'keep a stream alive over %s, tell what was processed, and are missed when they stop',
      async (protocol) => {
        const streams: EventStream[] = []
        const server = await serve(protocol, (stream) => streams.push(stream))
        cleanup.push(() => server.close())
        const url = `${protocol === 'http' ? 'http' : 'https'}://127.0.0.1:${server.port}/`
        let mute = false
        const fetch = fetchOver(protocol)
        const live = liveFetch({
          fetch: ((input: string, init: RequestInit) =>
            mute && init.method === 'POST' ? new Promise(() => {}) : fetch(input, init)) as never,
        })
        const controller = new AbortController()
        cleanup.push(() => controller.abort())
        const response = await live(url, { signal: controller.signal })
        const reading = (async () => {
          for await (const _ of response.body as ReadableStream<Uint8Array>);
        })().catch(() => 'cut')
        const stream = await waitFor('the stream', () => streams[0])
        stream.send({ id: '5', data: 'x' })
        await waitFor('the confirmation', () => stream.confirmedId === '5')
        const heard = stream.lastEcho
        await waitFor('a later echo', () => stream.lastEcho !== heard)
        mute = true
        expect((await stream.closed).reason).toBe('no-echo')
        expect(await reading).toBe('cut')
        // Everything else that is posted there is for others.
        const other = await fetch(url, { method: 'POST', body: 'x' })
        expect(await other.text()).toBe(OTHER)
      },
    )
  })
}

it('a web server without the objects of Node answers, too', async () => {
  const answersEcho = ofWeb.echo()
  const { response, stream } = ofWeb.createEventResponse(new Request('http://x/'), OPTIONS)
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  // The comment that goes with the head may come alone.
  let text = ''
  while (!text.includes(': beat')) text += Buffer.from((await reader.read()).value ?? []).toString()
  const [, token] = /: beat (\S+)/.exec(text) ?? []
  const post = (body: string | ReadableStream): Promise<Response | undefined> =>
    answersEcho(
      new Request('http://x/', {
        method: 'POST',
        body,
        headers: { 'content-type': 'text/plain;echo=1' },
        duplex: 'half',
      } as RequestInit),
    )
  expect((await post(`${token}\n3`))?.status).toBe(204)
  expect(stream.confirmedId).toBe('3')
  expect((await post('x'.repeat(3_000)))?.status).toBe(413)
  const endless = new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(1_000)),
  })
  expect((await post(endless))?.status).toBe(413)
  stream.abort()
})
