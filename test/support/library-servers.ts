// Unmodified SSE libraries from npm, each behind a server with a guard and behind one without.
import { readFileSync } from 'node:fs'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import fastifySse from '@fastify/sse'
import { createAdaptorServer } from '@hono/node-server'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { createSession } from 'better-sse'
import fastify from 'fastify'
import { GraphQLObjectType, GraphQLSchema, GraphQLString } from 'graphql'
import { createHandler } from 'graphql-sse/lib/use/http'
import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { type GuardCloseInfo, type GuardStats, guardServer } from '../../src/index.js'
import { sharedMonitor } from '../../src/liveness/monitor.js'
import { answer } from '../../src/testing/index.js'

/** One stream of one library's. */
export interface LibraryStream {
  library: string
  guarded: boolean
  url: string
  /** When Node told of the response's end. */
  closedAt?: number
  /** When the library told its application, by a hook of its own. */
  hookAt?: number
  reason?: string
}

/** Where a library is to be found, and what to send there for a quiet and for a busy stream. */
export interface LibraryServer {
  library: string
  guarded: boolean
  port: number
  requests: { quiet: string[]; busy: string[] }
}

interface Parts {
  server: Server
  /** Listens by itself: Fastify does. */
  listen?: () => Promise<unknown>
  /** Makes the text of a request; some libraries want more than a path. */
  request?: (port: number, path: string) => string | Promise<string>
}

type Hook = () => void
type Make = (hookOf: (req: { url?: string | undefined }) => Hook) => Parts | Promise<Parts>

const streams: LibraryStream[] = []
const guards: { stats(): GuardStats }[] = []
let problems = 0
for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
  process.on(event, (error: unknown) => {
    problems++
    console.error(event, error)
  })
}

const isBusy = (req: { url?: string | undefined }): boolean => req.url?.includes('busy') ?? false
const EVERY = 100
const DATA = { tick: 'x'.repeat(200) }

/** Calls back until stopped. */
function busily(req: { url?: string | undefined }, send: () => unknown): () => void {
  if (!isBusy(req)) return () => {}
  const timer = setInterval(send, EVERY)
  return () => clearInterval(timer)
}

const makers: Record<string, Make> = {
  'better-sse': (hookOf) => ({
    server: http.createServer(async (req, res) => {
      const session = await createSession(req, res)
      session.push(DATA)
      const stop = busily(req, () => session.push(DATA))
      session.on('disconnected', () => {
        stop()
        hookOf(req)()
      })
    }),
  }),

  'MCP SDK, Streamable HTTP': () => {
    const transports = new Map<string, StreamableHTTPServerTransport>()
    const server = http.createServer(async (req, res) => {
      let transport = transports.get(String(req.headers['mcp-session-id']))
      if (transport === undefined) {
        const made = new StreamableHTTPServerTransport({
          sessionIdGenerator: () => crypto.randomUUID(),
          onsessioninitialized: (id) => void transports.set(id, made),
        })
        transport = made
        // Its `onclose` comes with `close()` and DELETE only: there is no hook for the end of a stream.
        await new McpServer({ name: 'rig', version: '1.0.0' }).connect(transport as never)
      }
      const handled = transport.handleRequest(req, res)
      if (req.method === 'GET') {
        // `handled` settles with the end of the stream.
        const send = () => transport.send(notification)
        setTimeout(send, EVERY)
        res.on('close', busily(req, send))
      }
      await handled
    })
    return { server, request: openMcpSession }
  },

  'MCP SDK, legacy SSE': (hookOf) => ({
    server: http.createServer(async (req, res) => {
      const transport = new SSEServerTransport('/messages', res)
      await transport.start()
      const stop = busily(req, () => transport.send(notification))
      transport.onclose = () => {
        stop()
        hookOf(req)()
      }
    }),
  }),

  'graphql-sse': (hookOf) => {
    const ticks = {
      type: GraphQLString,
      args: { speed: { type: GraphQLString } },
      resolve: (value: string) => value,
      subscribe: (_: unknown, __: unknown, { req }: { req: IncomingMessage }) =>
        ticker(req, hookOf(req)),
    }
    const schema = new GraphQLSchema({
      query: new GraphQLObjectType({ name: 'Query', fields: { hello: { type: GraphQLString } } }),
      subscription: new GraphQLObjectType({ name: 'Subscription', fields: { ticks } }),
    })
    const handler = createHandler({ schema, context: (request) => ({ req: request.raw }) })
    const ask = (speed: string) =>
      `?query=${encodeURIComponent(`subscription { ticks(speed: "${speed}") }`)}`
    return {
      server: http.createServer((req, res) => void handler(req, res)),
      request: (_port, path) => get(`/${ask(path.includes('busy') ? 'busy' : 'quiet')}`),
    }
  },

  '@fastify/sse': async (hookOf) => {
    const app = fastify()
    await app.register(fastifySse.default)
    app.get('/*', { sse: 'only' }, async (request, reply) => {
      reply.sse.keepAlive()
      const stop = busily(request.raw, () => reply.sse.send({ data: DATA }).catch(() => {}))
      reply.sse.onClose(() => {
        stop()
        hookOf(request.raw)()
      })
      await reply.sse.send({ data: DATA })
    })
    return { server: app.server, listen: () => app.listen({ port: 0, host: '0.0.0.0' }) }
  },

  'Hono on @hono/node-server': (hookOf) => {
    const app = new Hono<{ Bindings: { incoming: IncomingMessage } }>()
    app.get('/*', (c) =>
      streamSSE(c, async (stream) => {
        const gone = new Promise<void>((resolve) => stream.onAbort(resolve))
        stream.onAbort(hookOf(c.env.incoming))
        await stream.writeSSE({ data: 'hello' })
        while (!stream.aborted) {
          if (!isBusy(c.env.incoming)) await gone
          else await stream.writeSSE({ data: DATA.tick }).then(() => stream.sleep(EVERY))
        }
      }),
    )
    return { server: createAdaptorServer({ fetch: app.fetch }) as Server }
  },

  'node:https': () => ({ server: https.createServer(pem(), plain) }),
  'node:http2': () => ({
    server: http2.createSecureServer(pem(), plain as never) as unknown as Server,
  }),
}

answer({
  async serve(D: number): Promise<LibraryServer[]> {
    const all: LibraryServer[] = []
    for (const [library, make] of Object.entries(makers)) {
      for (const guarded of [true, false]) all.push(await serve(library, make, guarded, D))
    }
    return all
  },
  streams: () => streams,
  rest: () => ({
    problems,
    watched: sharedMonitor.size,
    stats: guards.map((each) => each.stats()),
  }),
})

async function serve(
  library: string,
  make: Make,
  guarded: boolean,
  D: number,
): Promise<LibraryServer> {
  const records = new Map<string, LibraryStream>()
  const {
    server,
    listen,
    request = (_: number, path: string) => get(path),
  } = await make((req) => () => {
    const record = records.get(`${req.url} ${(req as IncomingMessage).socket.remotePort}`)
    if (record !== undefined) record.hookAt ??= Date.now()
  })
  const remember = (req: IncomingMessage, res: ServerResponse): void => {
    if (req.method !== 'GET') return
    const record: LibraryStream = { library, guarded, url: decodeURIComponent(req.url ?? '') }
    records.set(`${req.url} ${req.socket.remotePort}`, record)
    streams.push(record)
    res.on('close', () => {
      record.closedAt = Date.now()
    })
  }
  server.prependListener('request', remember)
  if (guarded) {
    const onClose = ({ reason, url }: GuardCloseInfo): void => {
      const record = streams.find(
        (each) =>
          each.library === library &&
          each.guarded &&
          !each.reason &&
          each.url === decodeURIComponent(url ?? ''),
      )
      if (record !== undefined) record.reason = reason
    }
    guards.push(guardServer(server, { detectWithin: D, onClose }))
  }
  await (listen?.() ?? new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve)))
  const { port } = server.address() as AddressInfo
  const requests = { quiet: [] as string[], busy: [] as string[] }
  for (const kind of ['quiet', 'busy'] as const) {
    for (let i = 0; i < 3; i++) requests[kind].push(await request(port, `/${kind}`))
  }
  return { library, guarded, port, requests }
}

function get(path: string, headers = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: rig\r\nAccept: text/event-stream\r\n${headers}\r\n`
}

const notification = {
  jsonrpc: '2.0',
  method: 'notifications/message',
  params: { level: 'info', data: DATA },
} as const

/** Does a client's part of the handshake, over loopback and on a connection that does not stay. */
async function openMcpSession(port: number, path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      connection: 'close',
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: {
        protocolVersion: '2025-06-18',
        capabilities: {},
        clientInfo: { name: 'rig', version: '1.0.0' },
      },
    }),
  })
  await response.text()
  return get(path, `Mcp-Session-Id: ${response.headers.get('mcp-session-id')}\r\n`)
}

/** A source as a pub/sub gives one: `return` ends it though nothing has come. */
function ticker(req: IncomingMessage, onReturn: Hook): AsyncIterableIterator<{ ticks: string }> {
  let count = 0
  return {
    async next() {
      if (count++ > 0) await new Promise((resolve) => isBusy(req) && setTimeout(resolve, EVERY))
      return { value: { ticks: DATA.tick }, done: false }
    },
    async return() {
      onReturn()
      return { value: undefined, done: true }
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

function plain(req: IncomingMessage, res: ServerResponse): void {
  res.writeHead(200, { 'content-type': 'text/event-stream' })
  res.write('data: hello\n\n')
  res.on(
    'close',
    busily(req, () => res.write(`data: ${DATA.tick}\n\n`)),
  )
}

function pem(): { key: Buffer; cert: Buffer } {
  const read = (name: string) => readFileSync(new URL(`./tls/${name}.pem`, import.meta.url))
  return { key: read('key'), cert: read('cert') }
}
