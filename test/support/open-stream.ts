// One stream over a real server and a raw client of it, for tests of what a stream does.
import http from 'node:http'
import net from 'node:net'
import { createEventStream, type EventStream, type EventStreamOptions } from '../../src/index.js'
import type { Cleanup } from './cleanup.js'
import { listenOn } from './ports.js'

export interface OpenStream {
  readonly stream: EventStream
  readonly req: http.IncomingMessage
  readonly res: http.ServerResponse
  /** The server's side of the connection. */
  readonly socket: net.Socket
  readonly client: net.Socket
  /** All that the client has read. */
  received(): Buffer
}

export interface Opener {
  /** Opens a connection with a stream on it; or sends a further request on an open connection. */
  open(options?: EventStreamOptions, request?: string, on?: net.Socket): Promise<OpenStream>
  readonly port: number
}

export const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'

/**
 * A server; `/plain` answers with a short plain response.
 *
 * @param first - called before each stream is made
 * @param make - makes it
 */
export async function opener(
  cleanup: Cleanup,
  first?: http.RequestListener,
  make: typeof createEventStream = createEventStream,
): Promise<Opener> {
  const waiting: ((exchange: [http.IncomingMessage, http.ServerResponse]) => void)[] = []
  const server = http.createServer((req, res) => {
    if (req.url === '/plain') res.end('plain')
    else waiting.shift()?.([req, res])
  })
  const port = await listenOn(server)
  cleanup.push(() => void server.close().closeAllConnections())
  return {
    port,
    async open(options = {}, request = GET, on = undefined) {
      const exchange = new Promise<[http.IncomingMessage, http.ServerResponse]>((resolve) =>
        waiting.push(resolve),
      )
      const client = on ?? net.connect(port, '127.0.0.1')
      client.on('error', () => {})
      if (on === undefined) cleanup.push(() => client.destroy())
      const chunks: Buffer[] = []
      client.on('data', (chunk) => chunks.push(chunk))
      client.write(request)
      const [req, res] = await exchange
      first?.(req, res)
      const { socket } = req
      const stream = make(req, res, options)
      return { stream, req, res, socket, client, received: () => Buffer.concat(chunks) }
    },
  }
}

/** Sends until the client's side is full too, so that no room comes by itself. The ids of what was sent. */
export async function fillUp(stream: EventStream, size = 4_000): Promise<string[]> {
  const ids: string[] = []
  for (;;) {
    for (let result = 'sent'; result === 'sent'; ids.push(`f${ids.length}`)) {
      result = stream.send({ id: `f${ids.length}`, data: 'x'.repeat(size) })
    }
    const room = stream.writable().then(() => true)
    const still = new Promise<boolean>((resolve) => setTimeout(resolve, 150, false))
    if (!(await Promise.race([room, still]))) return ids
  }
}
