// A worker of a cluster: its listener may belong to the primary, but its connections are its own.
import cluster from 'node:cluster'
import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { guardServer } from '../../src/index.js'
import { getKernelOption } from '../../src/native/binding.js'

const policy = process.env.POLICY === 'none' ? cluster.SCHED_NONE : cluster.SCHED_RR

if (cluster.isPrimary) {
  cluster.schedulingPolicy = policy
  for (let i = 0; i < 2; i++) {
    const worker = cluster.fork()
    worker.on('message', (message) => process.send?.(message))
  }
  process.on('message', () => {
    for (const worker of Object.values(cluster.workers ?? {})) worker?.send('stop')
  })
  process.on('disconnect', () => process.exit())
} else {
  const sockets: Socket[] = []
  const server = http.createServer((req, res) => {
    sockets.push(req.socket)
    res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
  })
  const guard = guardServer(server, { detectWithin: 20_000 })
  const timeouts = (): number[] => sockets.map((each) => getKernelOption(each, 'TCP_USER_TIMEOUT'))
  server.listen(0, '127.0.0.1', () => {
    process.send?.({ listening: (server.address() as AddressInfo).port })
  })
  server.on('request', () => {
    process.send?.({ worker: process.pid, ...guard.stats(), timeouts: timeouts() })
  })
  process.on('message', () => {
    guard.stop()
    process.send?.({ worker: process.pid, stopped: true, ...guard.stats(), timeouts: timeouts() })
  })
}
