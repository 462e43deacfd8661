// The servers of the compatibility table, as data: a name, the protocols, and how to make one.
import { readFileSync } from 'node:fs'
import http, { type RequestListener } from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { createAdaptorServer, type HttpBindings } from '@hono/node-server'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { serve as serveSrvx } from 'srvx'
import { eventStream as expressStream } from '../../src/adapters/express.js'
import { eventStream as fastifyStream } from '../../src/adapters/fastify.js'
import { eventStream as honoStream } from '../../src/adapters/hono.js'
import { eventStream as koaStream } from '../../src/adapters/koa.js'
import { createEventResponse } from '../../src/adapters/web.js'
import { createEventStream, type EventStream, type EventStreamOptions } from '../../src/index.js'
import { listenOn } from './ports.js'

export type Protocol = 'http' | 'https' | 'http2'

/** A running server. */
export interface Running {
  readonly port: number
  close(): void
}

/** Is given every stream, in the turn in which its request is handled. */
export type OnStream = (stream: EventStream) => void

/** One row of the table: a kind of server. */
export interface Framework {
  readonly name: string
  readonly protocols: readonly Protocol[]
  serve(protocol: Protocol, options: EventStreamOptions, onStream: OnStream): Promise<Running>
}

export const PROTOCOLS: readonly Protocol[] = ['http', 'https', 'http2']

export const frameworks: readonly Framework[] = [
  {
    name: 'node',
    protocols: PROTOCOLS,
    serve: (protocol, options, onStream) =>
      listen(
        serverOf(protocol, (req, res) => {
          onStream(createEventStream(req, res, options))
        }),
      ),
  },
  {
    name: 'express',
    // Express puts its own prototype, that of HTTP/1, on the response.
    protocols: ['http', 'https'],
    serve: (protocol, options, onStream) => {
      const app = express()
      app.get('/', expressStream(options), (_req, res) => onStream(res.eventStream))
      return listen(serverOf(protocol, app))
    },
  },
  {
    name: 'koa',
    protocols: PROTOCOLS,
    serve: (protocol, options, onStream) => {
      const app = new Koa()
      app.use(koaStream(options))
      app.use((ctx) => onStream(ctx.eventStream))
      return listen(serverOf(protocol, app.callback()))
    },
  },
  {
    name: 'fastify',
    protocols: PROTOCOLS,
    serve: async (protocol, options, onStream) => {
      const secure = protocol === 'http' ? {} : { https: tls }
      const app = fastify({ ...secure, http2: protocol === 'http2' } as never)
      await app.register(fastifyStream, options)
      app.get('/', (_request, reply) => onStream(reply.eventStream()))
      await app.listen({ port: 0, host: '0.0.0.0' })
      const { port } = app.server.address() as AddressInfo
      return { port, close: () => void app.close() }
    },
  },
  {
    name: 'hono on @hono/node-server',
    protocols: PROTOCOLS,
    serve: (protocol, options, onStream) => {
      const app = new Hono<{ Bindings: HttpBindings }>()
      app.get('/', (c) => {
        const { response, stream } = honoStream(c, options)
        onStream(stream)
        return response
      })
      return listen(adaptorServer(protocol, app.fetch))
    },
  },
  {
    name: 'web on @hono/node-server',
    protocols: PROTOCOLS,
    serve: (protocol, options, onStream) => {
      const answer = (request: Request, env: unknown): Response => {
        const { response, stream } = createEventResponse(request, options, env)
        onStream(stream)
        return response
      }
      return listen(adaptorServer(protocol, answer))
    },
  },
  {
    name: 'web on srvx',
    protocols: PROTOCOLS,
    serve: async (protocol, options, onStream) => {
      const server = serveSrvx({
        port: 0,
        hostname: '0.0.0.0',
        silent: true,
        gracefulShutdown: false,
        ...(protocol === 'http' ? {} : { protocol: 'https', tls }),
        node: { http2: protocol === 'http2' },
        fetch(request: Request) {
          const { response, stream } = createEventResponse(request, options)
          onStream(stream)
          return response
        },
      } as never)
      await server.ready()
      return { port: Number(new URL(server.url ?? '').port), close: () => void server.close(true) }
    },
  },
]

const pem = (name: string): string =>
  readFileSync(new URL(`./tls/${name}.pem`, import.meta.url), 'utf8')

export const tls = { key: pem('key'), cert: pem('cert') }

export function serverOf(protocol: Protocol, listener: RequestListener): Server {
  if (protocol === 'http') return http.createServer(listener)
  if (protocol === 'https') return https.createServer(tls, listener)
  return http2.createSecureServer(tls, listener as never) as unknown as Server
}

export function adaptorServer(protocol: Protocol, fetch: (...args: never[]) => unknown): Server {
  const createServer = {
    http: undefined,
    https: https.createServer,
    http2: http2.createSecureServer,
  }
  return createAdaptorServer({
    fetch,
    createServer: createServer[protocol] ?? http.createServer,
    serverOptions: protocol === 'http' ? {} : tls,
  } as never) as Server
}

/** On every address, so that clients in other namespaces get there too. */
export async function listen(server: Server): Promise<Running> {
  const sockets = new Set<{ destroy(): unknown }>()
  server.on('connection', (socket) => sockets.add(socket))
  const port = await listenOn(server, '0.0.0.0')
  const close = (): void => {
    server.close()
    for (const each of sockets) each.destroy()
  }
  return { port, close }
}
