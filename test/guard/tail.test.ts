// What a response still has to say when its connection is closed: a client that is slow to read it gets all of it.
import http from 'node:http'
import https from 'node:https'
import net, { type Server } from 'node:net'
import tls from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { capabilities, inspectSocket } from '../../src/index.js'
import { getKernelOption } from '../../src/native/binding.js'
import { listen } from '../support/cleanup.js'
import { delay } from '../support/delay.js'
import { waitFor } from '../support/wait-for.js'
import { Client, guard, later, pem, SSE, undo } from './scene.js'

afterEach(undo)

/** Much more than the client's kernel takes, and less than ours does. */
const TAIL = 1_500_000
/** An orphan with the guard's options behind a shut window is given up after two seconds. */
const PAUSE = 5_000
const GET = 'GET /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
const BODY = 'x'.repeat(3_000_000)
const POST = `POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`

type Handler = (req: http.IncomingMessage, res: http.ServerResponse) => void

/** Everything goes to the kernel at once: only what that has can survive the close. */
async function send(res: http.ServerResponse): Promise<void> {
  const socket = res.socket as net.Socket
  res.write('x'.repeat(TAIL))
  await waitFor('the kernel to have all', () => {
    return socket.writableLength === 0 && inspectSocket(socket).status === 'ok'
  })
}

const expiring: Handler = (_req, res) => void send(res.writeHead(200, SSE))
const ending: Handler = (_req, res) => void send(res).then(() => res.end())

/** A client that begins to read when its server has long closed the connection. */
async function readLate(port: number, request: string, secure: boolean, closed: () => boolean) {
  const socket = secure
    ? tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
    : net.connect({ port, host: '127.0.0.1' })
  later(() => socket.destroy())
  let error: NodeJS.ErrnoException | undefined
  let bytes = 0
  let ended = false
  socket.on('error', (problem) => {
    error = problem
  })
  socket.on('end', () => {
    ended = true
  })
  socket.pause()
  socket.write(request)
  await waitFor("the server's close", closed)
  await delay(PAUSE)
  socket.on('data', (chunk) => {
    bytes += chunk.length
  })
  socket.resume()
  await waitFor('the end', () => ended || error !== undefined)
  return { bytes, error }
}

describe.runIf(capabilities().detectionGuaranteed)('a client that reads late', () => {
  const cases: [string, Handler, string, boolean][] = [
    ['whose stream has expired', expiring, GET, false],
    ['whose stream has expired, over TLS', expiring, GET, true],
    ['whose request body is unread when its stream expires', expiring, POST, false],
    ['whose response the application has ended', ending, GET, false],
    ['whose response the application has ended, over TLS', ending, GET, true],
  ]
  it('gets all of it, for each cause of the close', async () => {
    const all = cases.map(async ([title, handler, request, secure]) => {
      const server: Server = secure
        ? https.createServer({ key: pem('key'), cert: pem('cert') }, handler)
        : http.createServer(handler)
      let over = false
      server.on('request', ({ socket }: http.IncomingMessage) => {
        for (const event of ['finish', 'close']) {
          socket.on(event, () => {
            over = true
          })
        }
      })
      guard(server, { maxAge: handler === expiring ? 1_500 : false, stallTimeout: false })
      const result = await readLate(await listen(server), request, secure, () => over)
      return { title, ...result, all: result.bytes > TAIL }
    })
    for (const result of await Promise.all(all)) {
      expect(result).toMatchObject({ error: undefined, all: true })
    }
  })
})

describe('a stream that expires while its client is still sending', () => {
  for (const [title, handler] of [
    ['that is never read', () => {}],
    [
      'that the application has paused',
      (req: http.IncomingMessage) => void req.on('data', () => {}).pause(),
    ],
  ] as const) {
    it(`ends with FIN in place of RST, with a body ${title}`, async () => {
      const server = http.createServer((req, res) => {
        handler(req)
        res.writeHead(200, SSE).write('data: 1\n\n')
      })
      const { closes, guard: made } = guard(server, { maxAge: 1_000 })
      const client = new Client(await listen(server), POST)
      await waitFor('the end', () => client.ended || client.error !== undefined)
      expect(client.error).toBeUndefined()
      expect(client.received).toContain('data: 1')
      expect(closes).toMatchObject([{ reason: 'expired', scope: 'stream' }])
      client.socket.end()
      // One that does not leave is left behind after detectWithin.
      await waitFor("the connection's end", () => made.stats().connections === 0)
      expect(closes.length).toBe(1)
    })
  }
})

describe.runIf(capabilities().addon)('the options that give a connection up', () => {
  const limits = (socket: net.Socket) => [
    getKernelOption(socket, 'TCP_RTO_MAX_MS'),
    getKernelOption(socket, 'TCP_USER_TIMEOUT'),
  ]

  for (const when of ['before', 'after'] as const) {
    it(`are the connection's own again when the guard stops, with a guard from ${when} the accept`, async () => {
      const sockets: net.Socket[] = []
      const server = http.createServer((req, res) => {
        sockets.push(req.socket)
        res.writeHead(200, SSE).write('data: 1\n\n')
      })
      const port = await listen(server)
      const plain = new Client(port)
      await plain.sees('data: 1')
      const own = limits(sockets[0] as net.Socket)
      const { guard: made } = guard(server)
      const client = when === 'before' ? new Client(port) : plain
      if (when === 'after') plain.socket.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n')
      await waitFor('the guard', () => made.stats().connections === 1 && sockets.length === 2)
      const socket = sockets[1] as net.Socket
      expect(limits(socket)).not.toEqual(own)
      made.stop()
      expect(limits(socket)).toEqual(own)
      client.socket.destroy()
    })
  }

  it('are in force again on a connection that is half-closed only', async () => {
    const sockets: net.Socket[] = []
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      sockets.push(socket)
      socket.on('error', () => {}).resume()
    })
    const { guard: made } = guard(server)
    new Client(await listen(server), 'hello')
    await waitFor('the guard', () => made.stats().connections === 1)
    const [socket] = sockets as [net.Socket]
    const guarded = limits(socket)
    socket.end()
    await waitFor('its FIN', () => socket.writableFinished)
    await new Promise(setImmediate)
    expect(limits(socket)).toEqual(guarded)
  })
})
