// Options are set once on the listening socket; connections are born with them.
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { capabilities } from '../../src/index.js'
import { sharedMonitor } from '../../src/liveness/monitor.js'
import { monitorPlan } from '../../src/liveness/plan.js'
import { addon, getKernelOption, type KernelOption } from '../../src/native/binding.js'
import { listen } from '../support/cleanup.js'
import { delay } from '../support/delay.js'
import { listenOn } from '../support/ports.js'
import { waitFor } from '../support/wait-for.js'
import { Client, guard, later, pem, SSE, undo } from './scene.js'

afterEach(undo)

const OPTIONS: KernelOption[] = [
  'SO_KEEPALIVE',
  'TCP_KEEPIDLE',
  'TCP_KEEPINTVL',
  'TCP_KEEPCNT',
  'TCP_USER_TIMEOUT',
  'TCP_RTO_MAX_MS',
  'TCP_NOTSENT_LOWAT',
]
const read = (socket: net.Socket | net.Server): Record<string, number> =>
  Object.fromEntries(OPTIONS.map((option) => [option, getKernelOption(socket, option)]))

const D = 20_000
const plan = monitorPlan(D)
const planned = {
  SO_KEEPALIVE: 1,
  TCP_KEEPIDLE: 4,
  TCP_KEEPINTVL: 2,
  TCP_USER_TIMEOUT: Math.ceil(plan.userTimeout as number),
}

describe.runIf(capabilities().addon)('the listening socket', () => {
  function serve(options: http.ServerOptions = {}): { server: http.Server; sockets: net.Socket[] } {
    const sockets: net.Socket[] = []
    const server = http.createServer(options, (req, res) => {
      sockets.push(req.socket)
      res.writeHead(200, SSE).write('data: 1\n\n')
    })
    return { server, sockets }
  }

  for (const when of ['before', 'after'] as const) {
    it(`has the options of a guard that came ${when} listen(), and gets its own back`, async () => {
      const { server, sockets } = serve()
      const bare = net.createServer()
      await listen(bare)
      const before = read(bare)
      const options = { detectWithin: D, notSentLowWater: 32_768 }
      const early = when === 'before' ? guard(server, options) : undefined
      const port = await listen(server)
      if (when === 'after') expect(read(server)).toEqual(before)
      const { guard: made } = early ?? guard(server, options)
      expect(made.stats().inherited).toBe(true)
      expect(read(server)).toMatchObject({ ...planned, TCP_NOTSENT_LOWAT: 32_768 })
      const client = new Client(port)
      await client.sees('data: 1')
      const [socket] = sockets as [net.Socket]
      expect(read(socket)).toMatchObject({ ...planned, TCP_NOTSENT_LOWAT: 32_768 })
      made.stop()
      expect(read(server)).toEqual(before)
      expect(getKernelOption(socket, 'TCP_USER_TIMEOUT')).toBe(0)
      await new Client(port).sees('data: 1')
      expect(read(sockets[1] as net.Socket)).toMatchObject({ TCP_USER_TIMEOUT: 0, SO_KEEPALIVE: 0 })
    })
  }

  it('is set anew at each listen', async () => {
    const { server } = serve()
    const { guard: made } = guard(server, { detectWithin: D })
    for (let round = 0; round < 3; round++) {
      await listenOn(server)
      expect(read(server)).toMatchObject(planned)
      await new Promise((resolve) => server.close(resolve))
      expect(made.stats().inherited).toBe(false)
    }
  })

  it('costs no setsockopt for an accepted connection, now or at later looks', async () => {
    const { server } = serve()
    const { guard: made } = guard(server, { detectWithin: D })
    const port = await listen(server)
    const set = vi.spyOn(addon as NonNullable<typeof addon>, 'setOption')
    const get = vi.spyOn(addon as NonNullable<typeof addon>, 'getOption')
    later(() => {
      set.mockRestore()
      get.mockRestore()
    })
    for (let i = 0; i < 20; i++) await new Client(port).sees('data: 1')
    const userTimeout = addon?.options.indexOf('TCP_USER_TIMEOUT')
    const asked = get.mock.calls.filter(([, option]) => option === userTimeout)
    expect([set.mock.calls.length, asked.length]).toEqual([0, 20])
    await waitFor('the streams', () => made.stats().streams === 20)
    await delay(3 * plan.pace)
    expect(set).not.toHaveBeenCalled()
    console.log(`20 connections, 3 looks: 0 setsockopt, ${get.mock.calls.length} getsockopt`)
  })

  it('is enough for TLS too', async () => {
    const sockets: net.Socket[] = []
    const server = https.createServer({ key: pem('key'), cert: pem('cert') }, (req, res) => {
      sockets.push(req.socket)
      res.writeHead(200, SSE).write('data: 1\n\n')
    })
    guard(server, { detectWithin: D })
    const port = await listen(server)
    const set = vi.spyOn(addon as NonNullable<typeof addon>, 'setOption')
    later(() => set.mockRestore())
    const client = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
    later(() => client.destroy())
    client.on('error', () => {}).write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await waitFor('the request', () => sockets.length === 1)
    expect(read(sockets[0] as net.Socket)).toMatchObject(planned)
    expect(set).not.toHaveBeenCalled()
  })

  it('sets up a connection by itself that waited to be accepted when the guard came', async () => {
    const { server, sockets } = serve()
    const port = await listen(server)
    const client = new Client(port)
    // Node connects on the next tick, and the kernel shakes hands at once; Node accepts in a later turn of its loop.
    await new Promise<void>((resolve) => process.nextTick(resolve))
    guard(server, { detectWithin: D, notSentLowWater: 32_768 })
    await client.sees('data: 1')
    const [socket] = sockets as [net.Socket]
    expect(read(socket)).toMatchObject({ ...planned, TCP_NOTSENT_LOWAT: 32_768 })
  })

  it('repairs keepalive that Node or the application has set otherwise', async () => {
    const { server, sockets } = serve({ keepAlive: true, keepAliveInitialDelay: 60_000 })
    guard(server, { detectWithin: D })
    const client = new Client(await listen(server))
    await client.sees('data: 1')
    const [socket] = sockets as [net.Socket]
    expect(getKernelOption(socket, 'TCP_KEEPIDLE')).toBe(60)
    await waitFor('the repair', () => getKernelOption(socket, 'TCP_KEEPIDLE') === 4)
    const { server: second, sockets: others } = serve()
    second.prependListener('request', (req) => req.socket.setKeepAlive(true, 90_000))
    guard(second, { detectWithin: D })
    await new Client(await listen(second)).sees('data: 1')
    const [other] = others as [net.Socket]
    expect(getKernelOption(other, 'TCP_KEEPIDLE')).toBe(90)
    await waitFor('the repair', () => getKernelOption(other, 'TCP_KEEPIDLE') === 4)
  })

  it('that is a Unix socket is left alone, and so are its connections', async () => {
    const { server } = serve()
    const { guard: made } = guard(server)
    const path = join(tmpdir(), `tcp-sse-guard-${process.pid}.sock`)
    await new Promise<void>((resolve) => server.listen(path, resolve))
    later(() => server.close())
    const client = net.connect(path)
    later(() => client.destroy())
    let got = ''
    client.on('data', (chunk) => (got += chunk))
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await waitFor('the event', () => got.includes('data: 1'))
    expect(made.stats()).toMatchObject({ connections: 1, streams: 1, inherited: false })
  })
})

it('watches every connection once, however many guards and servers there are', async () => {
  const server = http.createServer((_req, res) => void res.writeHead(200, SSE).write('data: 1\n\n'))
  guard(server)
  const port = await listen(server)
  const clients = Array.from({ length: 5 }, () => new Client(port))
  await Promise.all(clients.map((client) => client.sees('data: 1')))
  expect(sharedMonitor.size).toBe(5)
  for (const { socket } of clients) socket.destroy()
  await waitFor('the end', () => sharedMonitor.size === 0)
})
