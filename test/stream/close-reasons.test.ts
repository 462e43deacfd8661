// Close reasons name the right party.
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import fastify from 'fastify'
import { describe, expect, it } from 'vitest'
import { eventStream } from '../../src/adapters/fastify.js'
import { createEventStream, type EventStream } from '../../src/index.js'
import { cleanup, listen } from '../support/cleanup.js'
import { GET } from '../support/open-stream.js'
import { waitFor } from '../support/wait-for.js'

const pem = (name: string): Buffer =>
  readFileSync(new URL(`../support/tls/${name}.pem`, import.meta.url))

/** Serves streams; gives the port, and the first of them. */
async function serve(
  server: http.Server,
): Promise<{ port: number; stream: () => Promise<EventStream> }> {
  let made: EventStream | undefined
  server.on('request', (req, res) => {
    made = createEventStream(req, res)
  })
  const port = await listen(server)
  return { port, stream: () => waitFor('the stream', () => made) }
}

function client(port: number): net.Socket {
  const socket = net.connect(port, '127.0.0.1')
  socket.on('error', () => {}).resume()
  cleanup.push(() => socket.destroy())
  return socket
}

describe('client-error', () => {
  it("is a request body that does not come within the server's requestTimeout", async () => {
    const { port, stream } = await serve(
      http.createServer({ requestTimeout: 300, connectionsCheckingInterval: 100 }),
    )
    client(port).write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc')
    expect(await (await stream()).closed).toMatchObject({
      reason: 'client-error',
      error: { code: 'ERR_HTTP_REQUEST_TIMEOUT' },
    })
  })

  it('is what a client sends that is no HTTP', async () => {
    const { port, stream } = await serve(http.createServer())
    const socket = client(port)
    socket.write(GET)
    const opened = await stream()
    socket.write('no request at all\r\n\r\n')
    const { reason, error } = await opened.closed
    expect(reason).toBe('client-error')
    expect((error as NodeJS.ErrnoException).code).toMatch(/^HPE_/)
  })

  it('is what a client sends that is no TLS record', async () => {
    const { port, stream } = await serve(https.createServer({ key: pem('key'), cert: pem('cert') }))
    const raw = client(port)
    const secure = tls.connect({ socket: raw, rejectUnauthorized: false })
    secure.on('error', () => {}).resume()
    secure.write(GET)
    const opened = await stream()
    raw.write('no record at all')
    expect((await opened.closed).reason).toBe('client-error')
  })
})

it('error is still what the application destroys the connection with', async () => {
  const server = http.createServer()
  server.on('request', (req) => setImmediate(() => req.socket.destroy(new Error('mine'))))
  const { port, stream } = await serve(server)
  client(port).write(GET)
  expect(await (await stream()).closed).toMatchObject({
    reason: 'error',
    error: { message: 'mine' },
  })
})

it('ended is how a stream ends that an injected request got, by close() and by the application', async () => {
  const streams: EventStream[] = []
  const app = fastify()
  await app.register(eventStream)
  app.get('/close', (_request, reply) => {
    const stream = reply.eventStream()
    streams.push(stream)
    stream.send({ data: 'x' })
    void stream.close()
  })
  app.get('/end', (_request, reply) => {
    streams.push(reply.eventStream())
    reply.raw.end()
  })
  for (const url of ['/close', '/end']) await app.inject(url)
  for (const stream of streams) expect(await stream.closed).toMatchObject({ reason: 'ended' })
  expect(streams.length).toBe(2)
})

describe('a mock that is no response', () => {
  const req = { headers: {}, method: 'GET', httpVersion: '1.1' }
  const methods = Object.fromEntries(
    ['setHeader', 'write', 'end', 'writeHead', 'flushHeaders', 'hasHeader', 'removeHeader'].map(
      (name) => [name, () => {}],
    ),
  )
  const mocks: [string, unknown, unknown][] = [
    ['with two methods', req, { setHeader() {}, write() {} }],
    ['without events', req, { ...methods, req }],
    ['without its request', req, { ...methods, on() {}, once() {}, off() {} }],
    ['of ClientRequest', req, http.request({ host: '127.0.0.1', port: 9 }).on('error', () => {})],
    ['of nothing', req, Object.create(null)],
    ['of null', null, null],
  ]
  for (const [title, request, response] of mocks) {
    it(`${title} is refused with ERR_NOT_A_RESPONSE`, () => {
      expect(() => createEventStream(request as never, response as never)).toThrow(
        expect.objectContaining({ code: 'ERR_NOT_A_RESPONSE' }),
      )
    })
  }
})
