// 10 000 clients that come and go while broadcasts and events of their own are sent: descriptors are reused all the time, and
// nothing ever reaches a client that it was not for.
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { expect, it, vi } from 'vitest'
import {
  capabilities,
  createChannel,
  createEventStream,
  type EventStream,
} from '../../src/index.js'
import { sharedMonitor } from '../../src/liveness/monitor.js'
import { addon } from '../../src/native/binding.js'
import { waitFor } from '../support/wait-for.js'

const CLIENTS = 10_000
const AT_ONCE = 40

it(`${CLIENTS} clients that come and go get their own events only`, async () => {
  // One for everybody, whose broadcasts may pass the streams by, and one with filters, whose broadcasts never do.
  const all = createChannel()
  const filtered = createChannel()
  const cast = addon === undefined ? undefined : vi.spyOn(addon, 'cast')
  const streams = new Map<string, EventStream>()
  const server = http.createServer((req, res) => {
    const name = String(req.headers['x-name'])
    const stream = createEventStream(req, res)
    all.subscribe(stream)
    filtered.subscribe(stream, { filter: ({ id }) => id === name })
    streams.set(name, stream)
    void stream.closed.then(() => streams.delete(name))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo

  let foreign = 0
  let own = 0
  const visit = (name: string): Promise<void> =>
    new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1')
      let text = ''
      let left = 1 + Math.floor(Math.random() * 4)
      socket.on('error', () => {})
      socket.on('close', () => resolve())
      socket.on('connect', () =>
        socket.write(`GET / HTTP/1.1\r\nHost: x\r\nX-Name: ${name}\r\n\r\n`),
      )
      socket.on('data', (chunk) => {
        text += chunk
        const ids = [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id)
        foreign += ids.filter((id) => id !== 'all' && id !== name).length
        own += ids.filter((id) => id === name).length
        text = text.slice(text.lastIndexOf('\n\n') + 1)
        left -= 1
        if (left > 0) return
        if (Math.random() < 0.5) socket.resetAndDestroy()
        else socket.destroy()
      })
    })

  let next = 0
  const worker = async (): Promise<void> => {
    while (next < CLIENTS) await visit(`c${next++}`)
  }
  let sending = true
  const sender = (async () => {
    while (sending) {
      for (const [name, stream] of streams) stream.send({ id: name, data: 'own' })
      // Several in a row, of which all but the first pass the streams by.
      for (let i = 0; i < 3; i++) void all.broadcast({ id: 'all', data: 'x'.repeat(50) })
      const [name] = streams.keys()
      if (name !== undefined) void filtered.broadcast({ id: name, data: 'own' })
      await new Promise(setImmediate)
    }
  })()
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  await waitFor('the last one', () => streams.size === 0)
  sending = false
  await sender
  expect([foreign, all.size, filtered.size]).toEqual([0, 0, 0])
  if (capabilities().addon && process.env.TCP_SSE_NO_FAST_PATH !== '1') {
    const passed = cast?.mock.results.reduce((sum, { value }) => sum + value, 0)
    expect(passed).toBeGreaterThan(CLIENTS / 10)
  }
  cast?.mockRestore()
  expect(own).toBeGreaterThan(CLIENTS / 2)
  await waitFor('the monitor', () => sharedMonitor.size === 0)
  server.close()
}, 300_000)
