// @fastify/sse on Fastify.
import sse from '@fastify/sse'
import fastify, { type FastifyReply } from 'fastify'
import { type Driver, listen, type Service, shut } from './driver.js'

/** A reply has a `then`. If it were passed through a promise, the promise would wait for it. */
interface Handle {
  readonly reply: FastifyReply
}

export const driver: Driver<Handle> = {
  async serve(host) {
    const handles = new Set<Handle>()
    const app = fastify()
    await app.register(sse as never)
    app.get('/', { sse: 'only' }, async (_request, reply) => {
      reply.sse.keepAlive()
      // Otherwise the head waits for the first event.
      reply.sse.sendHeaders()
      const handle = { reply }
      handles.add(handle)
      reply.sse.onClose(() => handles.delete(handle))
    })
    await app.ready()
    const port = await listen(app.server, host)
    return {
      port,
      server: app.server,
      path: '/',
      handles,
      forms: ['loop', 'awaited', 'source'],
      broadcast(data) {
        for (const { reply } of handles) reply.sse.send({ data }).catch(ignore)
      },
      send: ({ reply }, data) => reply.sse.send({ data }),
      pump: ({ reply }, source) => reply.sse.send(messages(source)),
      onClose: ({ reply }, listener) => reply.sse.onClose(() => listener()),
      async close() {
        await shut(app.server)
        await app.close()
      },
    } satisfies Service<Handle>
  },
}

/** A client that left during a broadcast is not an error of the benchmark. */
function ignore(): void {}

async function* messages(source: AsyncIterable<string>): AsyncGenerator<{ data: string }> {
  for await (const data of source) yield { data }
}
