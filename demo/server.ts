// One of the demo's two servers. It sends the same events to all clients, with plain node:http or
// with tcp-sse.
import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createEventStream, inspectSockets } from '../src/index.js'
import { answer } from '../src/testing/index.js'

const EVENT_BYTES = 1_000
const EVERY_MS = 100

const sockets = new Set<Socket>()
const sends = new Set<() => void>()
const reasons: Record<string, number> = {}
let cpu = process.cpuUsage()
let since = performance.now()

answer({
  async listen({ library, detectWithin }: { library: boolean; detectWithin: number }) {
    const data = 'x'.repeat(EVENT_BYTES)
    const server = http.createServer((req, res) => {
      if (library) {
        const stream = createEventStream(req, res, { detectWithin })
        const send = (): void => void stream.send({ data })
        sends.add(send)
        stream.closed.then(({ reason }) => {
          reasons[reason] = (reasons[reason] ?? 0) + 1
          sends.delete(send)
        })
      } else {
        res.writeHead(200, { 'content-type': 'text/event-stream' })
        const send = (): void => void res.write(`data: ${data}\n\n`)
        sends.add(send)
        res.on('close', () => sends.delete(send))
      }
    })
    server.on('connection', (socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    })
    setInterval(() => {
      for (const send of sends) send()
    }, EVERY_MS)
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve))
    return (server.address() as AddressInfo).port
  },
  /** What this server holds now, and its share of CPU since the last call. */
  stats() {
    const snapshots = inspectSockets([...sockets])
    const sum = (of: (index: number) => number): number =>
      snapshots.reduce((all, _, index) => all + of(index), 0)
    const used = process.cpuUsage(cpu)
    const passed = performance.now() - since
    cpu = process.cpuUsage()
    since = performance.now()
    return {
      open: sockets.size,
      user: sum((index) => snapshots[index]?.pending ?? 0),
      kernel: sum((index) => snapshots[index]?.outq ?? 0),
      cpu: (used.user + used.system) / 10 / passed,
      reasons,
    }
  },
})
