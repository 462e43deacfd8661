// One library in the incident. It sends to all clients, ten times a second.
import type { Socket } from 'node:net'
import { inspectSockets } from '../../src/index.js'
import { answer } from '../../src/testing/index.js'
import { loadDriver } from '../drivers/index.js'

/** What the server holds, bytes; CPU in percent of a core since the last question. */
export interface Held {
  readonly open: number
  readonly user: number
  readonly kernel: number
  readonly cpu: number
}

const sockets = new Set<Socket>()
let cpu = process.cpuUsage()
let since = performance.now()

answer({
  async serve({ driver, bytes, everyMs }: { driver: string; bytes: number; everyMs: number }) {
    const service = await (await loadDriver(driver)).serve('0.0.0.0')
    service.server.on('connection', (socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    })
    const data = 'x'.repeat(bytes)
    setInterval(() => void service.broadcast(data), everyMs)
    return { port: service.port, path: service.path }
  },
  held(): Held {
    const snapshots = inspectSockets([...sockets])
    const sum = (of: 'pending' | 'outq'): number =>
      snapshots.reduce((all, snapshot) => all + (snapshot[of] ?? 0), 0)
    const now = performance.now()
    const { user, system } = process.cpuUsage(cpu)
    const percent = (user + system) / 10 / (now - since)
    const held = { open: sockets.size, user: sum('pending'), kernel: sum('outq'), cpu: percent }
    cpu = process.cpuUsage()
    since = performance.now()
    return held
  },
})
