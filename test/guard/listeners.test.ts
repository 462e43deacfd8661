// Applications that take a socket over remove all listeners from it, the guard's among them.
import http from 'node:http'
import net from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { capabilities } from '../../src/index.js'
import { sharedMonitor } from '../../src/liveness/monitor.js'
import { activityOf } from '../../src/native/binding.js'
import { listen } from '../support/cleanup.js'
import { waitFor } from '../support/wait-for.js'
import { Client, guard, SSE, undo } from './scene.js'

afterEach(undo)

const UPGRADE = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'
const SWITCHED = 'HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'
const MANY = 5

type Serve = (sockets: net.Socket[]) => net.Server

function takeOver(socket: net.Socket, sockets: net.Socket[]): void {
  sockets.push(socket)
  socket.removeAllListeners()
  socket.on('error', () => {}).on('end', () => socket.end())
  socket.resume().write(SWITCHED)
}

/** Later than the guard's own listener for connections, which comes after the application's. */
function netServer(sockets: net.Socket[]): net.Server {
  return net.createServer((socket) => process.nextTick(takeOver, socket, sockets))
}

const servers: [string, Serve][] = [
  [
    'an upgrade',
    (sockets) =>
      http.createServer().on('upgrade', (_req, socket) => takeOver(socket as net.Socket, sockets)),
  ],
  [
    'a CONNECT',
    (sockets) =>
      http.createServer().on('connect', (_req, socket) => takeOver(socket as net.Socket, sockets)),
  ],
  ['a connection of a net server', netServer],
]

describe('a guard whose listeners an application has removed', () => {
  for (const [title, serve] of servers) {
    it(`counts the connection until its end and reports nothing, after ${title}`, async () => {
      const sockets: net.Socket[] = []
      const server = serve(sockets)
      const { guard: made, closes } = guard(server)
      const port = await listen(server)
      const request = title === 'a CONNECT' ? 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n' : UPGRADE
      const clients = Array.from({ length: MANY }, () => new Client(port, request))
      await Promise.all(clients.map((client) => client.sees('101')))
      expect(made.stats().connections).toBe(MANY)
      for (const { socket } of clients) socket.end()
      await waitFor('the ends', () => sockets.every(({ destroyed }) => destroyed))
      expect(made.stats().connections).toBe(0)
      await waitFor('the monitor', () => sharedMonitor.size === 0)
      expect(closes).toEqual([])
    })
  }

  it('forgets the connection without being asked for its figures', async () => {
    const sockets: net.Socket[] = []
    const server = netServer(sockets)
    const { guard: made, closes } = guard(server)
    const client = new Client(await listen(server), 'hello')
    await client.sees('101')
    client.socket.end()
    await waitFor('the monitor', () => sockets[0]?.destroyed && sharedMonitor.size === 0)
    expect(closes).toEqual([])
    expect(made.stats().connections).toBe(0)
  })

  it.runIf(capabilities().addon)(
    'still reports what it ends itself, once, and forgets it',
    async () => {
      const sockets: net.Socket[] = []
      const server = http.createServer((req, res) => {
        sockets.push(req.socket)
        req.socket.removeAllListeners('close')
        // Nobody reads the body: Node does not notice the RST.
        req.pause()
        res.writeHead(200, SSE).write('data: 1\n\n')
      })
      const { guard: made, closes } = guard(server)
      const body = 'x'.repeat(100_000)
      const head = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n'
      const client = new Client(await listen(server), head + body)
      await client.sees('data: 1')
      await waitFor('a paused socket', () => Number.isNaN(activityOf(sockets[0] as net.Socket)))
      client.socket.resetAndDestroy()
      await waitFor('the report', () => closes.length > 0)
      expect(closes).toMatchObject([{ reason: 'client-reset' }])
      expect([made.stats().connections, sharedMonitor.size]).toEqual([0, 0])
    },
  )

  it('reports a death that the kernel has found, although no listener receives the close', async () => {
    const sockets: net.Socket[] = []
    const server = netServer(sockets)
    const { guard: made, closes } = guard(server)
    await new Client(await listen(server), 'hello').sees('101')
    const [socket] = sockets as [net.Socket]
    socket.destroy(Object.assign(new Error('ETIMEDOUT'), { code: 'ETIMEDOUT' }))
    await waitFor('the report', () => closes.length > 0)
    expect(closes).toMatchObject([{ reason: 'peer-dead', verdict: 'dead' }])
    expect(made.stats().connections).toBe(0)
  })
})
