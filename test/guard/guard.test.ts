// What a guard is, on every kind of server: put on, seen in its figures, taken off.
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { createEventStream, type EventStream, guardServer } from '../../src/index.js'
import { sharedMonitor } from '../../src/liveness/monitor.js'
import { listen } from '../support/cleanup.js'
import { waitFor } from '../support/wait-for.js'
import { Client, guard, later, pem, SSE, undo } from './scene.js'

afterEach(undo)

const secrets = () => ({ key: pem('key'), cert: pem('cert') })
const EVENTS = [
  'listening',
  'close',
  'connection',
  'secureConnection',
  'request',
  'stream',
  'newListener',
]
const listeners = (server: net.Server): Record<string, number> =>
  Object.fromEntries(EVENTS.map((event) => [event, server.listenerCount(event)]))

type Kind = 'http' | 'https' | 'http2' | 'http2 secure' | 'net' | 'tls'
const open: Record<Kind, () => net.Server> = {
  http: () => http.createServer((_req, res) => void res.writeHead(200, SSE).write('data: 1\n\n')),
  https: () =>
    https.createServer(secrets(), (_req, res) => void res.writeHead(200, SSE).write('data: 1\n\n')),
  http2: () =>
    http2.createServer(
      (_req, res) => void res.writeHead(200, SSE).write('data: 1\n\n'),
    ) as unknown as net.Server,
  'http2 secure': () =>
    http2.createSecureServer(
      { ...secrets(), allowHTTP1: true },
      (_req, res) => void res.writeHead(200, SSE).write('data: 1\n\n'),
    ) as unknown as net.Server,
  net: () =>
    net.createServer(
      (socket) =>
        void socket
          .on('error', () => {})
          .resume()
          .write('data: 1\n\n'),
    ),
  tls: () =>
    tls.createServer(
      secrets(),
      (socket) =>
        void socket
          .on('error', () => {})
          .resume()
          .write('data: 1\n\n'),
    ),
}

/** Connects as a client of that kind, and settles when the first event has come. */
async function connect(kind: Kind, port: number): Promise<{ end: () => void }> {
  const got = (emitter: NodeJS.EventEmitter) =>
    new Promise((resolve) => emitter.once('data', resolve))
  if (kind.startsWith('http2')) {
    const scheme = kind === 'http2' ? 'http' : 'https'
    const session = http2.connect(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false })
    session.on('error', () => {})
    later(() => session.destroy())
    const stream = session.request({ ':path': '/' })
    stream.on('error', () => {})
    await got(stream)
    return { end: () => session.destroy() }
  }
  const encrypted = kind === 'https' || kind === 'tls'
  const socket = encrypted
    ? tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
    : net.connect(port, '127.0.0.1')
  socket.on('error', () => {})
  later(() => socket.destroy())
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await got(socket)
  return { end: () => socket.destroy() }
}

describe('guardServer', () => {
  for (const kind of Object.keys(open) as Kind[]) {
    it(`guards a server of kind ${kind}, and leaves nothing behind when it stops`, async () => {
      const server = open[kind]()
      const before = listeners(server)
      const { guard: made, closes } = guard(server, {
        filter: kind === 'net' || kind === 'tls' ? () => true : undefined,
      })
      const port = await listen(server)
      expect(made.stats()).toMatchObject({ connections: 0, streams: 0 })
      const client = await connect(kind, port)
      await waitFor('the stream', () => made.stats().streams === 1)
      expect(made.stats().connections).toBe(1)
      expect(sharedMonitor.size).toBe(1)
      const socket = await connect(kind, port)
      expect(made.stats().connections).toBe(2)
      socket.end()
      await waitFor('its end', () => made.stats().connections === 1)
      made.stop()
      expect(listeners(server)).toEqual(before)
      expect([sharedMonitor.size, made.stats().connections]).toEqual([0, 0])
      expect(closes).toEqual([])
      made.stop()
      guardServer(server).stop()
      client.end()
    })
  }

  it('sees HTTP/1 on an HTTP/2 server too', async () => {
    const server = open['http2 secure']()
    const { guard: made } = guard(server)
    await connect('https', await listen(server))
    await waitFor('the stream', () => made.stats().streams === 1)
  })

  it('does not switch on the compatibility API of an HTTP/2 server that uses the core API', async () => {
    const server = http2.createServer()
    server.on('stream', (stream) => {
      stream.respond({ ':status': 200, 'Content-Type': 'text/event-stream; charset=utf-8' })
      stream.write('data: 1\n\n')
    })
    const { guard: made } = guard(server)
    await connect('http2', await listen(server as unknown as net.Server))
    await waitFor('the stream', () => made.stats().streams === 1)
    expect(server.listenerCount('request')).toBe(0)
  })

  it('refuses a second guard until the first is stopped', () => {
    const server = http.createServer()
    const { guard: made } = guard(server)
    const code = 'ERR_ALREADY_GUARDED'
    expect(() => guardServer(server)).toThrow(expect.objectContaining({ code }))
    made[Symbol.dispose]()
    guard(server)
    // The first one has nothing to do with the second.
    made.stop()
    expect(() => guardServer(server)).toThrow(expect.objectContaining({ code }))
  })

  it('is known to other copies of this library', () => {
    const server = http.createServer()
    const { guard: made } = guard(server)
    const [mark] = Object.getOwnPropertySymbols(server).filter(
      (each) => each === Symbol.for('tcp-sse.guarded'),
    )
    expect(mark).toBeDefined()
    made.stop()
    expect(Object.getOwnPropertySymbols(server)).not.toContain(mark)
    Object.defineProperty(server, mark as symbol, { value: true })
    expect(() => guardServer(server)).toThrow(
      expect.objectContaining({ code: 'ERR_ALREADY_GUARDED' }),
    )
  })

  for (const value of [undefined, null, {}, () => {}, new net.Socket()]) {
    it(`refuses what is no server: ${typeof value} ${value?.constructor?.name}`, () => {
      expect(() => guardServer(value as never)).toThrow(
        expect.objectContaining({ code: 'ERR_NOT_A_SERVER' }),
      )
    })
  }

  const refused: [object, string][] = [
    [{ detectWithin: 1_000 }, 'ERR_DETECT_WITHIN_TOO_SMALL'],
    [{ detectwithin: 10_000 }, 'ERR_OPTION_UNKNOWN'],
    [{ heartbeat: 5_000 }, 'ERR_OPTION_UNKNOWN'],
    [{ keepAlive: false }, 'ERR_OPTION_UNKNOWN'],
    [{ userTimeout: 60_000 }, 'ERR_OPTION_UNKNOWN'],
    [{ retransmitMax: false }, 'ERR_OPTION_UNKNOWN'],
    [{ stallTimeout: 0 }, 'ERR_OPTION_VALUE'],
    [{ maxAge: 10 }, 'ERR_OPTION_VALUE'],
    [{ notSentLowWater: 0.5 }, 'ERR_OPTION_VALUE'],
    [{ filter: 'text/event-stream' }, 'ERR_OPTION_TYPE'],
    [{ onClose: true }, 'ERR_OPTION_TYPE'],
  ]
  for (const [options, code] of refused) {
    it(`refuses ${JSON.stringify(options)}, and the server is untouched`, () => {
      const server = http.createServer()
      const before = listeners(server)
      expect(() => guardServer(server, options)).toThrow(expect.objectContaining({ code }))
      expect(listeners(server)).toEqual(before)
      guard(server)
    })
  }

  it('takes a connection that was open before it with the next request', async () => {
    const server = http.createServer((_req, res) => res.end('ok'))
    const port = await listen(server)
    const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
    const client = new Client(port, request)
    await client.sees('ok')
    const { guard: made } = guard(server)
    expect(made.stats().connections).toBe(0)
    client.socket.write(request)
    await waitFor('the connection', () => made.stats().connections === 1)
  })

  it('leaves no watch and no timer when the server closes, and guards it when it listens again', async () => {
    const server = open.http()
    const { guard: made } = guard(server)
    const client = new Client(await listen(server))
    await client.sees('data: 1')
    server.close()
    ;(server as http.Server).closeAllConnections()
    await waitFor('the end', () => sharedMonitor.size === 0 && !server.listening)
    await new Client(await listen(server)).sees('data: 1')
    expect(made.stats().connections).toBe(1)
  })

  it('counts what the kernel gave up by itself, and no other error of a connection', async () => {
    const sockets: net.Socket[] = []
    const server = http.createServer((req, res) => {
      sockets.push(req.socket)
      res.writeHead(200, SSE).write('data: 1\n\n')
    })
    const { guard: made, closes } = guard(server)
    const port = await listen(server)
    for (const code of ['ETIMEDOUT', 'EHOSTUNREACH', 'ECONNRESET', 'EPIPE']) {
      await new Client(port).sees('data: 1')
      sockets.at(-1)?.destroy(Object.assign(new Error(code), { code }))
    }
    await waitFor('the ends', () => made.stats().connections === 0)
    expect(closes.map(({ reason, verdict }) => [reason, verdict])).toEqual([
      ['peer-dead', 'dead'],
      ['peer-dead', 'dead'],
    ])
  })

  it('works beside an event stream of our own on the same socket', async () => {
    let stream: EventStream | undefined
    const server = http.createServer((req, res) => {
      stream = createEventStream(req, res, { stallTimeout: 1_000, maxBufferedBytes: 50_000_000 })
    })
    const { guard: made, closes } = guard(server, { stallTimeout: 1_000 })
    const client = new Client(await listen(server), undefined, false)
    await waitFor('the stream', () => made.stats().streams === 1)
    expect(sharedMonitor.size).toBe(1)
    for (let i = 0; i < 80; i++) stream?.send({ data: 'x'.repeat(100_000) })
    expect((await stream?.closed)?.reason).toBe('stalled')
    expect(closes).toEqual([])
    expect(client.received).toBe('')
  })
})
