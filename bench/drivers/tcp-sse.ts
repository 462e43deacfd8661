// tcp-sse, as it is built: from the sources the loader's additions to every function would be measured too.
import http from 'node:http'
import type { EventStreamOptions } from '../../src/index.js'
import type { EventStream } from '../../src/stream/event-stream.js'
import { type Driver, listen, type Service, shut } from './driver.js'

const built: typeof import('../../src/index.js') = await import(
  new URL('../../dist/index.js', import.meta.url).href
)
const { createChannel, createEventStream } = built

/** A constant, as an application should pass it: checked once, not for each of 10 000 streams. */
const OPTIONS: EventStreamOptions = Object.freeze({
  ...(process.env.BENCH_HEARTBEAT === 'off' ? { heartbeat: false } : {}),
  ...(process.env.BENCH_DETECT_WITHIN === undefined
    ? {}
    : { detectWithin: Number(process.env.BENCH_DETECT_WITHIN) }),
})

export const driver: Driver<EventStream> = {
  async serve(host, { individually, greeting } = { individually: true }) {
    const handles = new Set<EventStream>()
    const channel = createChannel()
    const server = http.createServer((req, res) => {
      const stream = createEventStream(req, res, OPTIONS)
      if (greeting !== undefined) {
        stream.send({ data: greeting })
        return
      }
      channel.subscribe(stream)
      if (!individually) return
      handles.add(stream)
      void stream.closed.then(() => handles.delete(stream))
    })
    const port = await listen(server, host)
    return {
      port,
      server,
      path: '/',
      handles,
      connected: () => channel.size,
      forms: ['loop', 'awaited', 'source'],
      broadcast: (data) => channel.broadcast({ data }),
      send: (stream, data) => stream.send({ data }),
      room: async (stream) => stream.writable(),
      pump: async (stream, source) => stream.sendAll(events(source)),
      held: (stream) => stream.buffered().pending,
      onClose: (stream, listener) => void stream.closed.then(({ reason }) => listener(reason)),
      close: () => shut(server),
    } satisfies Service<EventStream>
  },
}

async function* events(source: AsyncIterable<string>): AsyncGenerator<{ data: string }> {
  for await (const data of source) yield { data }
}
