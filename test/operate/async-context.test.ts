// AsyncLocalStorage: no callback of ours runs with another request's store, and none keeps one in memory.
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  createChannel,
  createEventStream,
  type EventInput,
  type EventStream,
  type EventStreamOptions,
  type FeedListener,
  type Hub,
} from '../../src/index.js'
import { cleanup, listen } from '../support/cleanup.js'
import { client } from '../support/memory-clients.js'
import { waitFor } from '../support/wait-for.js'

interface Store {
  readonly name: string
}
const storage = new AsyncLocalStorage<Store>()
/** Whose store was seen, by what saw it. */
let seen: Record<string, string | undefined> = {}
beforeEach(() => {
  seen = {}
})
const see = (what: string): void => {
  seen[what] = storage.getStore()?.name
}

/** Everything of B's that calls back when its stream ends. */
function watch(stream: EventStream): void {
  stream.signal.addEventListener('abort', () => see('signal'))
  for (const name of ['close', 'verdict', 'overflow']) {
    const listener = (message: unknown): void => {
      if ((message as { stream: EventStream }).stream === stream) see(name)
    }
    subscribe(`tcp-sse:stream:${name}`, listener)
    cleanup.push(() => void unsubscribe(`tcp-sse:stream:${name}`, listener))
  }
}

/** A request's stream over a real connection, made in a separate context. */
async function server(): Promise<
  (
    store: Store,
    options?: EventStreamOptions,
  ) => Promise<{ stream: EventStream; socket: net.Socket }>
> {
  const made: ((stream: EventStream) => void)[] = []
  let next: [Store, EventStreamOptions] = [{ name: '' }, {}]
  const listener = http.createServer((req, res) => {
    const [store, options] = next
    storage.run(store, () => made.shift()?.(createEventStream(req, res, options)))
    next = [{ name: '' }, {}]
  })
  const port = await listen(listener)
  return async (store, options = {}) => {
    next = [store, options]
    const stream = new Promise<EventStream>((resolve) => made.push(resolve))
    const socket = net.connect(port, '127.0.0.1')
    socket.on('error', () => {}).resume()
    cleanup.push(() => socket.destroy())
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    return { stream: await stream, socket }
  }
}

const asA = <T>(action: () => T): T => storage.run({ name: 'A' }, action)
const asB = <T>(action: () => T): T => storage.run({ name: 'B' }, action)

describe('a callback of B', () => {
  it('does not see A, whose request came first, when the monitor ends B', async () => {
    const open = await server()
    await open({ name: 'A' })
    const { stream } = await open({ name: 'B' }, { maxAge: 1_000 })
    watch(stream)
    expect((await stream.closed).reason).toBe('expired')
    expect(seen).toEqual({ signal: undefined, close: undefined })
  })

  it('does not see A, whose broadcast overflows B, nor in a source that B sends from', async () => {
    const channel = createChannel()
    const options = { maxBufferedEvents: 1 }
    const b = asB(() => client('', options))
    asB(() => {
      watch(b.stream)
      function* source(): Generator<EventInput> {
        try {
          for (;;) yield { data: 'x' }
        } finally {
          see('finally')
        }
      }
      b.transport.room = 1
      void b.stream.sendAll(source())
      channel.subscribe(b.stream, {
        filter: () => {
          see('filter')
          return true
        },
      })
    })
    await waitFor('back-pressure', () => !b.stream.writer.hasRoom)
    await asA(async () => {
      for (const data of ['waits', 'overflows']) {
        await channel.broadcast(
          { data },
          {
            filter: () => {
              see("A's own filter")
              return true
            },
          },
        )
      }
    })
    expect((await b.stream.closed).reason).toBe('overflow')
    expect(seen).toEqual({
      signal: undefined,
      close: undefined,
      overflow: undefined,
      filter: 'B',
      finally: 'B',
      "A's own filter": 'A',
    })
  })

  it('does not see A, which overflows B with its own send', () => {
    const b = asB(() => client('', { maxBufferedEvents: 1 }))
    asB(() => watch(b.stream))
    b.transport.room = 1
    asA(() => {
      for (const data of ['fills', 'waits', 'overflows']) b.stream.send({ data })
    })
    expect(seen).toEqual({ signal: undefined, close: undefined, overflow: undefined })
  })

  it('does not see A, who aborts a signal that many streams share', async () => {
    const controller = new AbortController()
    const b = asB(() => client('', { signal: controller.signal }))
    asB(() => watch(b.stream))
    asA(() => client('', { signal: controller.signal }))
    asA(() => controller.abort())
    expect(seen).toEqual({ signal: undefined, close: undefined })
  })

  it('does not see A, after whose write in the same tick a compressor of B is flushed', async () => {
    const open = await new Promise<http.Server>((resolve) => {
      const listener = http.createServer((req, res) => {
        const name = req.url?.slice(1) ?? ''
        // As the `compression` middleware does it.
        const write = res.write.bind(res)
        res.write = ((chunk: Buffer) => write(chunk)) as typeof res.write
        Object.assign(res, { flush: () => see(`flush of ${name}`) })
        storage.run({ name }, () => streams.push(createEventStream(req, res)))
      })
      const streams: EventStream[] = []
      cleanup.push(() => void listener.close().closeAllConnections())
      Object.assign(listener, { streams })
      listener.listen(0, '127.0.0.1', () => resolve(listener))
    })
    const { port } = open.address() as AddressInfo
    for (const name of ['A', 'B']) http.get({ port, path: `/${name}` }, (res) => res.resume())
    const { streams } = open as unknown as { streams: EventStream[] }
    await waitFor('both', () => streams.length === 2)
    asA(() => streams.forEach((stream) => void stream.send({ data: 'x' })))
    await waitFor('both flushes', () => Object.keys(seen).length === 2)
    expect(seen).toEqual({ 'flush of A': undefined, 'flush of B': undefined })
  })
})

describe("a request's store", () => {
  const gc = (): void => {
    setFlagsFromString('--expose-gc')
    runInNewContext('gc')()
  }

  async function isFreed(store: WeakRef<object>): Promise<void> {
    await waitFor('its end in memory', async () => {
      await new Promise(setImmediate)
      gc()
      return store.deref() === undefined
    })
  }

  it('is freed when its stream, the first of all, has ended, and those of others go on', async () => {
    const open = await server()
    // In a function of its own: nothing of this one's may keep the store.
    const first = async (): Promise<{ store: WeakRef<object>; end: () => Promise<unknown> }> => {
      const store = { name: 'A', large: new Uint8Array(5_000_000) }
      const { stream, socket } = await open(store)
      stream.send({ data: 'x' })
      const end = (): Promise<unknown> => {
        socket.destroy()
        return stream.closed
      }
      return { store: new WeakRef(store), end }
    }
    const { store, end } = await first()
    const { stream } = await open({ name: 'B' })
    await end()
    await isFreed(store)
    expect(stream.state).toBe('open')
  })

  it('is not kept by a channel or a stream of others that its request has used', async () => {
    const channel = createChannel()
    const b = client()
    channel.subscribe(b.stream)
    const work = async (): Promise<WeakRef<object>> => {
      const store = { name: 'A', large: new Uint8Array(5_000_000) }
      await storage.run(store, async () => {
        await channel.broadcast({ id: '1', data: 'x' })
        b.transport.room = 1
        b.stream.send({ data: 'fills' })
        void b.stream.closed
        void b.stream.signal
        void b.stream.writable()
        void b.stream.delivery('1')
      })
      return new WeakRef(store)
    }
    await isFreed(await work())
    expect([b.stream.state, b.stream.writer.hasRoom]).toEqual(['open', false])
  })

  it('is seen by no hub, and by nothing that a hub causes', async () => {
    let listener: FeedListener | undefined
    const position = '1'
    const hub: Hub = {
      scope: 'test',
      open(_channel, opened) {
        see('open')
        listener = opened
        return {
          async publish() {
            see('publish')
            listener?.entry({ position, text: 'data: x\n\n', token: '' })
            return position
          },
          read: async () => ({ outcome: 'unknown', entries: [], more: false }),
          compare: () => 0,
          close: () => see('close of the feed'),
        }
      },
      close: async () => {},
    }
    for (const name of ['state', 'gap', 'broadcast']) {
      const listener = (): void => see(name)
      subscribe(`tcp-sse:channel:${name}`, listener)
      cleanup.push(() => void unsubscribe(`tcp-sse:channel:${name}`, listener))
    }
    await storage.run({ name: 'A' }, async () => {
      const onGap = (): 'close' => {
        see('onGap')
        return 'close'
      }
      const channel = createChannel({ hub, name: 'news', history: { maxEvents: 10 }, onGap })
      listener?.start('0')
      // As a client of an engine calls back that was opened in a request.
      listener?.state('live')
      listener?.gap('0', position)
      await channel.broadcast({ data: 'x' })
      await channel.close()
    })
    expect(seen).toEqual({
      open: undefined,
      publish: undefined,
      state: undefined,
      gap: undefined,
      onGap: undefined,
      broadcast: undefined,
      'close of the feed': undefined,
    })
  })
})
