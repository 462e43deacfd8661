// A primary that publishes, and its workers that serve: one port for all.
import cluster, { type Worker } from 'node:cluster'
import net, { type AddressInfo } from 'node:net'
import { clusterHub } from '../../src/hub/cluster/index.js'
import { createChannel } from '../../src/index.js'
import { CHANNEL, HISTORY, serve } from './server.js'

const servers = Number(process.env.SERVERS)

if (cluster.isPrimary) primary()
else void serve(clusterHub(), Number(process.env.PORT)).then((port) => process.send?.({ port }))

function primary(): void {
  const news = createChannel({ hub: clusterHub(), name: CHANNEL, history: HISTORY })
  let reads = 0
  let port = 0
  /** The workers that listen. A worker that is still starting is not worth killing. */
  const listening = new Set<Worker>()
  const fork = (): Promise<Worker> =>
    new Promise((resolve, reject) => {
      const worker = cluster.fork({ PORT: String(port) })
      worker.once('exit', (code, signal) => {
        if (!listening.has(worker)) reject(new Error(`a worker ended: ${code ?? signal}`))
      })
      worker.on('message', (message: { port?: number; reads?: number }) => {
        if (message.port !== undefined) {
          listening.add(worker)
          resolve(worker)
        }
        if (message.reads !== undefined) {
          reads += message.reads
          process.send?.({ reads })
        }
      })
    })
  process.on('message', async (message: { publish?: number; kill?: number; reads?: true }) => {
    const workers = Object.values(cluster.workers ?? {}) as Worker[]
    if (message.publish !== undefined) {
      const n = message.publish
      const code = await news.broadcast({ data: { n, at: Date.now() } }).then(
        () => undefined,
        (error: { code?: string }) => error.code,
      )
      process.send?.({ published: n, code })
    } else if (message.kill !== undefined) {
      const [victim] = [...listening].slice(Math.floor(Math.random() * listening.size))
      if (victim !== undefined) listening.delete(victim)
      victim?.process.kill('SIGKILL')
      await fork()
      process.send?.({ killed: message.kill })
    } else if (message.reads) {
      reads = 0
      for (const worker of workers) worker.send('reads')
    }
  })
  process.on('disconnect', () => process.exit())
  void (async () => {
    // Port 0 is the same port for all workers, but another one once all workers that had it are
    // gone.
    port = await freePort()
    for (let index = 0; index < servers; index++) await fork()
    process.send?.({ ports: [port] })
  })()
}

function freePort(): Promise<number> {
  const server = net.createServer()
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
