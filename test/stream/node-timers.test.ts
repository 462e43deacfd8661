// Node's own timers: what goes past its streams counts as activity, and a server's idle timer does not end a quiet stream.
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { createChannel, createEventStream, type EventStream } from '../../src/index.js'
import { cleanup, listen } from '../support/cleanup.js'
import { delay } from '../support/delay.js'
import { GET, opener } from '../support/open-stream.js'
import { waitFor } from '../support/wait-for.js'

/** Long enough for a busy machine to send several times in it. */
const TIMEOUT = 600

/** Calls again and again, until long after the timeout. */
async function busy(send: () => void): Promise<void> {
  const until = performance.now() + 3 * TIMEOUT
  while (performance.now() < until) {
    send()
    await delay(TIMEOUT / 12)
  }
}

describe('a timeout that the application sets later', () => {
  type Exchange = { req: http.IncomingMessage; res: http.ServerResponse; socket: net.Socket }
  const setters: [string, (exchange: Exchange) => void][] = [
    ['req.setTimeout', ({ req }) => void req.setTimeout(TIMEOUT)],
    ['res.setTimeout', ({ res }) => void res.setTimeout(TIMEOUT)],
    ['socket.setTimeout', ({ socket }) => void socket.setTimeout(TIMEOUT)],
  ]
  for (const [name, set] of setters) {
    it(`does not end a stream that sends: ${name}`, async () => {
      const opened = await (await opener(cleanup)).open()
      set(opened)
      await busy(() => opened.stream.send({ data: 'x' }))
      expect(opened.stream.state).toBe('open')
    })

    it(`does not end a stream that gets broadcasts: ${name}`, async () => {
      const opened = await (await opener(cleanup)).open()
      const channel = createChannel()
      channel.subscribe(opened.stream)
      set(opened)
      await busy(() => void channel.broadcast({ data: 'x' }))
      expect(opened.stream.state).toBe('open')
    })

    it(`ends a stream that is silent: ${name}`, async () => {
      const opened = await (await opener(cleanup)).open()
      set(opened)
      expect((await opened.stream.closed).reason).toBe('client-closed')
    })
  }
})

describe("a server's idle timer", () => {
  it("has nothing to say while a stream lasts, and is back after it, without keep-alive's own", async () => {
    const sockets: net.Socket[] = []
    const streams: EventStream[] = []
    const server = http.createServer((req, res) => {
      sockets.push(req.socket)
      streams.push(createEventStream(req, res))
    })
    server.setTimeout(TIMEOUT)
    server.keepAliveTimeout = 0
    const port = await listen(server)
    const client = net.connect(port, '127.0.0.1')
    cleanup.push(() => client.destroy())
    client.resume().write(GET)
    const stream = await waitFor('the stream', () => streams[0])
    await delay(2 * TIMEOUT)
    expect(stream.state).toBe('open')
    await stream.close()
    expect(sockets[0]?.timeout).toBe(TIMEOUT)
    await waitFor('the end of the idle connection', () => client.destroyed || client.readableEnded)
  })

  const setters: [string, (server: http2.Http2Server) => void][] = [
    ['server.setTimeout', (server) => void server.setTimeout(TIMEOUT)],
    [
      'session.setTimeout',
      (server) => void server.on('session', (session) => session.setTimeout(TIMEOUT)),
    ],
  ]
  for (const [name, set] of setters) {
    it(`over HTTP/2 it ends no session with a stream, and one without: ${name}`, async () => {
      const streams: EventStream[] = []
      const server = http2.createServer((req, res) => {
        streams.push(createEventStream(req, res))
      })
      set(server)
      // What Node does by itself where nobody listens, for session.setTimeout too.
      server.on('session', (session) => session.on('timeout', () => session.destroy()))
      const port = await listen(server)
      const session = http2.connect(`http://127.0.0.1:${port}`)
      session.on('error', () => {})
      cleanup.push(() => session.destroy())
      for (let i = 0; i < 2; i++)
        session
          .request()
          .on('error', () => {})
          .resume()
      await waitFor('both streams', () => streams.length === 2)
      await delay(2 * TIMEOUT)
      await streams[0]?.close()
      await delay(2 * TIMEOUT)
      expect(streams[1]?.state).toBe('open')
      await streams[1]?.close()
      await waitFor('the end of the idle session', () => session.destroyed)
    })
  }
})
