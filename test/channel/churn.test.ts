// 10 000 clients that come and go while broadcasts and events of their own are sent: descriptors are reused all the time, and
// nothing ever reaches a client that it was not for.
import http from 'node:http'
import net from 'node:net'
import { expect, it } from 'vitest'
import {
  capabilities,
  createChannel,
  createEventStream,
  type EventStream,
} from '../../src/index.js'
import { sharedMonitor } from '../../src/liveness/monitor.js'
import { fdOf } from '../../src/native/binding.js'
import { listenOn } from '../support/ports.js'
import { waitFor } from '../support/wait-for.js'

const CLIENTS = 10_000
const AT_ONCE = 40

it(`${CLIENTS} clients that come and go get their own events only`, async () => {
  // One for everybody, whose broadcasts may pass the streams by, and one with filters, whose broadcasts never do.
  const all = createChannel()
  const filtered = createChannel()
  const streams = new Map<string, EventStream>()
  const descriptors = new Set<number>()
  const bytes = { sent: 0, throughNode: 0 }
  const server = http.createServer((req, res) => {
    const name = String(req.headers['x-name'])
    const stream = createEventStream(req, res)
    all.subscribe(stream)
    filtered.subscribe(stream, { filter: ({ id }) => id === name })
    streams.set(name, stream)
    const { socket } = req
    descriptors.add(fdOf(socket))
    const head = socket.bytesWritten
    void stream.closed.then(({ bytesSent }) => {
      streams.delete(name)
      bytes.sent += bytesSent
      bytes.throughNode += socket.bytesWritten - head
    })
  })
  const port = await listenOn(server)

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
      // Several in a row: what a client is behind by is more than one.
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
  if (capabilities().addon) expect(descriptors.size).toBeLessThan(CLIENTS / 20)
  // Most bytes are of broadcasts, and Node counts what goes through its streams.
  if (capabilities().addon && process.env.TCP_SSE_NO_FAST_PATH !== '1') {
    expect(bytes.throughNode).toBeLessThan(bytes.sent / 10)
  }
  expect(own).toBeGreaterThan(CLIENTS / 2)
  await waitFor('the monitor', () => sharedMonitor.size === 0)
  server.close()
}, 600_000)
