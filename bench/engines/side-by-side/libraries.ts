// One channel over Redis on several processes, with three libraries, each as its documentation
// shows it.
import { createServer, type Server as HttpServer, type RequestListener } from 'node:http'
import { createAdapter } from '@socket.io/redis-streams-adapter'
import { createChannel as createBetterSseChannel, createSession } from 'better-sse'
import { createClient } from 'redis'
import { Server } from 'socket.io'
import { createChannel, createEventStream } from '../../../dist/index.js'
import { redisHub } from '../../../dist/redis.js'

/** What is published. */
export interface Message {
  readonly n: number
  readonly text: string
}

/** One process's part. */
export interface Service {
  /** Clients that get what is published. */
  size(): number
  /** Settles when the library says that the message was taken, if it says so. */
  publish(message: Message): Promise<unknown> | undefined
}

export const NAMES = ['tcp-sse', 'socket.io', 'better-sse'] as const
export type Name = (typeof NAMES)[number]

/** Starts one process's part, which listens on the port. */
export const libraries: Record<Name, (url: string, port: number) => Promise<Service>> = {
  async 'tcp-sse'(url, port) {
    const hub = redisHub(createClient({ url }))
    const news = createChannel({ hub, name: 'news', history: { maxEvents: 10_000 } })
    await listen(port, (req, res) => void news.subscribe(createEventStream(req, res)))
    return {
      size: () => news.size,
      publish: (message) => news.broadcast({ event: 'tick', data: JSON.stringify(message) }),
    }
  },

  async 'socket.io'(url, port) {
    const client = await connected(url)
    const server = createServer()
    const io = new Server(server, {
      adapter: createAdapter(client),
      transports: ['websocket'],
      serveClient: false,
    })
    await listening(server, port)
    return {
      size: () => io.engine.clientsCount,
      publish: (message) => void io.emit('tick', message),
    }
  },

  /** With pub/sub by hand: what is published is broadcast by each process that hears it. */
  async 'better-sse'(url, port) {
    const publisher = await connected(url)
    const subscriber = await connected(url)
    const channel = createBetterSseChannel()
    await subscriber.subscribe('news', (text) => channel.broadcast(JSON.parse(text), 'tick'))
    await listen(port, async (req, res) => channel.register(await createSession(req, res)))
    return {
      size: () => channel.sessionCount,
      publish: (message) => publisher.publish('news', JSON.stringify(message)),
    }
  },
}

async function connected(url: string) {
  const client = createClient({ url })
  // While Redis is away; the client connects again by itself.
  client.on('error', () => {})
  await client.connect()
  return client
}

async function listen(port: number, listener: RequestListener): Promise<void> {
  await listening(createServer(listener), port)
}

function listening(server: HttpServer, port: number): Promise<void> {
  return new Promise((resolve) => server.listen(port, '127.0.0.1', 4_096, resolve))
}
