// One server: a channel with a hub, and an event stream for each request.
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { createChannel, createEventStream, type Hub, metrics } from '../../src/index.js'

export const CHANNEL = 'news'
export const HISTORY = { maxEvents: 10_000 }

/** Serves on a port, 0 for any; settles with the port when it listens. */
export function serve(hub: Hub, port: number): Promise<number> {
  const news = createChannel({ hub, name: CHANNEL, history: HISTORY })
  const server = http.createServer((req, res) => void news.subscribe(createEventStream(req, res)))
  process.on('message', (message) => {
    if (message === 'reads') process.send?.({ reads: metrics().hub.reads })
  })
  return new Promise((resolve) => {
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}
