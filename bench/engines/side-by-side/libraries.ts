// One channel over Redis on several processes, with three libraries, each as its documentation
// shows it.
import { createServer } from 'node:http'
import { createAdapter } from '@socket.io/redis-streams-adapter'
import { createChannel as createBetterSseChannel, createSession } from 'better-sse'
import { createClient } from 'redis'
import { Server } from 'socket.io'
import { createChannel, createEventStream } from '../../../dist/index.js'
import { redisHub } from '../../../dist/redis.js'
import { listen } from '../../drivers/driver.js'

/** What is published. */
export interface Message {
  readonly n: number
  readonly text: string
}

/** One process's part. */
export interface Service {
  readonly port: number
  /** Clients that get what is published. */
  size(): number
  /** Settles when the library says that the message was taken, if it says so. */
  publish(message: Message): Promise<unknown> | undefined
}

const HOST = '127.0.0.1'

export const NAMES = ['tcp-sse', 'socket.io', 'better-sse'] as const
export type Name = (typeof NAMES)[number]

/** Starts one process's part over the Redis at a URL. */
export const libraries: Record<Name, (url: string) => Promise<Service>> = {
  async 'tcp-sse'(url) {
    const hub = redisHub(createClient({ url }))
    const news = createChannel({ hub, name: 'news', history: { maxEvents: 10_000 } })
    const server = createServer((req, res) => {
      news.subscribe(createEventStream(req, res))
    })
    return {
      port: await listen(server, HOST),
      size: () => news.size,
      publish: (message) => news.broadcast({ event: 'tick', data: JSON.stringify(message) }),
    }
  },

  async 'socket.io'(url) {
    const client = await connected(url)
    const server = createServer()
    const io = new Server(server, {
      adapter: createAdapter(client),
      transports: ['websocket'],
      serveClient: false,
    })
    return {
      port: await listen(server, HOST),
      size: () => io.engine.clientsCount,
      publish: (message) => void io.emit('tick', message),
    }
  },

  /** With pub/sub by hand: what is published is broadcast by each process that hears it. */
  async 'better-sse'(url) {
    const publisher = await connected(url)
    const subscriber = await connected(url)
    const channel = createBetterSseChannel()
    await subscriber.subscribe('news', (text) => channel.broadcast(JSON.parse(text), 'tick'))
    const server = createServer(async (req, res) => {
      channel.register(await createSession(req, res))
    })
    return {
      port: await listen(server, HOST),
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
