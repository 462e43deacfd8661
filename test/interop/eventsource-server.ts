// The endpoints that the test file of npm's `eventsource` asks for, served by our streams. What they answer is what that
// file expects; scripts/interop-eventsource.mjs puts this in the place of its own server.
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { createEventStream, type EventStreamOptions, encodeEvent } from '../../src/index.js'
import { EncodedEvent } from '../../src/sse/encode.js'

interface Exchange {
  req: IncomingMessage
  res: ServerResponse
  url: URL
}

type Endpoint = (exchange: Exchange) => void | Promise<void>

const open = ({ req, res }: Exchange, options?: EventStreamOptions) =>
  createEventStream(req, res, options)

/** How often each client, by the name it gives itself, has connected or been redirected. */
const counts = new Map<string, number>()

function count(name: string): number {
  const next = (counts.get(name) ?? 0) + 1
  counts.set(name, next)
  return next
}

function allowOrigin({ req }: Exchange, credentials = false): Record<string, string> {
  const { origin } = req.headers
  if (origin === undefined) return {}
  return {
    'access-control-allow-origin': origin,
    ...(credentials && { 'access-control-allow-credentials': 'true' }),
  }
}

const endpoints: Record<string, Endpoint> = {
  '/'(exchange) {
    open(exchange).send({ event: 'welcome', data: 'Hello, world!' })
  },

  /** Three numbers at a time, from where the client left off. */
  async '/counter'(exchange) {
    const stream = open(exchange, { retry: 50 })
    const asked = exchange.url.searchParams.get('event')
    const event = asked === '' ? undefined : (asked ?? 'counter')
    const from = Number(stream.lastEventId)
    for (let n = from + 1; n <= from + 3; n++) {
      stream.send({ event, id: n, data: `Counter is at ${n}` })
      await delay(5)
    }
    await stream.close()
  },

  async '/identified'(exchange) {
    const { req, res, url } = exchange
    const name = url.searchParams.get('client-id') ?? ''
    if (!req.headers.accept?.includes('text/event-stream')) {
      res.setHeader('content-type', 'application/json')
      res.end(JSON.stringify({ clientIdConnects: counts.get(name) ?? 0 }))
      return
    }
    const stream = open(exchange, { retry: 250 })
    stream.send({ data: String(count(name)) })
    if (url.searchParams.has('auto-close')) await stream.close()
  },

  /** A client that has had its one event is told not to come back. */
  async '/end-after-one'(exchange) {
    const { req, res } = exchange
    if (req.headers['last-event-id'] !== undefined) {
      res.writeHead(204).end()
      return
    }
    const stream = open(exchange, { retry: 50 })
    stream.send({ event: 'progress', id: 'prct-100', data: '100%' })
    await stream.close()
  },

  async '/slow-connect'(exchange) {
    await delay(200)
    const stream = open(exchange)
    stream.send({ event: 'welcome', data: 'late' })
    await stream.close()
  },

  async '/debug'(exchange) {
    const stream = open(exchange)
    const { method, headers } = exchange.req
    stream.send({ event: 'debug', data: { method, headers } })
    await stream.close()
  },

  /** The second event arrives in two pieces, cut in the middle of a character. What they say is in the checkout. */
  async '/unicode'(exchange) {
    const { unicodeLines } = await import(process.env.INTEROP_FIXTURES ?? '')
    const stream = open(exchange)
    stream.send({ event: 'welcome', data: 'hello' })
    stream.send({ event: 'unicode', data: unicodeLines[0] })
    const { bytes } = encodeEvent({ event: 'unicode', data: unicodeLines[1] })
    const middle = bytes.findIndex((byte) => byte > 0x7f) + 2
    stream.send(new EncodedEvent(bytes.subarray(0, middle)))
    await delay(300)
    stream.send(new EncodedEvent(bytes.subarray(middle)))
    await stream.close()
  },

  '/redirect'({ res, url }) {
    const id = url.searchParams.get('id') ?? ''
    count(`redirect ${id}`)
    const target = new URL('/redirect-target', url)
    target.searchParams.set('from', url.href)
    target.searchParams.set('id', id)
    if (url.searchParams.get('cors') === 'true') {
      target.hostname = url.hostname === 'localhost' ? '127.0.0.1' : 'localhost'
    }
    const status = Number(url.searchParams.get('code') ?? 301)
    res.writeHead(status, { location: target.href }).end()
  },

  async '/redirect-target'(exchange) {
    const { req, url } = exchange
    const stream = open(exchange, { retry: 25, headers: allowOrigin(exchange, true) })
    stream.send({
      data: {
        origin: url.origin,
        from: url.searchParams.get('from'),
        redirects: counts.get(`redirect ${url.searchParams.get('id')}`) ?? 0,
        auth: req.headers.authorization ?? null,
      },
    })
    await delay(100)
    await stream.close()
  },

  '/cors'(exchange) {
    const stream = open(exchange, { headers: allowOrigin(exchange) })
    stream.send({ event: 'origin', data: exchange.req.headers.origin ?? '<none>' })
  },
}

/** Listens as the test file wants it. */
export async function getServer(port: number): Promise<{ close(): Promise<void> }> {
  const server = http.createServer((req, res) => {
    const url = new URL(req.url ?? '/', `http://${req.headers.host}`)
    const endpoint = endpoints[url.pathname]
    if (endpoint === undefined) res.writeHead(404).end()
    else void endpoint({ req, res, url })
  })
  await new Promise<void>((resolve) => server.listen(port, () => resolve()))
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
