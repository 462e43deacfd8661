// A worker thread that serves streams and broadcasts to them without a pause, until it is ended from outside.
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { parentPort } from 'node:worker_threads'
import { createChannel, createEventStream } from '../../src/index.js'

const channel = createChannel()
const server = http.createServer((req, res) => {
  channel.subscribe(createEventStream(req, res))
})
server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port))

async function broadcast(): Promise<void> {
  for (;;) {
    await channel.broadcast({ data: 'x' })
    await new Promise(setImmediate)
  }
}
void broadcast()
