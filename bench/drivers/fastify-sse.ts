// @fastify/sse on Fastify.
import sse from '@fastify/sse'
import fastify, { type FastifyReply } from 'fastify'
import { type Driver, listen, type Service, shut } from './driver.js'

export const driver: Driver<FastifyReply> = {
  async serve(host) {
    const handles = new Set<FastifyReply>()
    const app = fastify()
    await app.register(sse as never)
    app.get('/', { sse: 'only' }, async (_request, reply) => {
      reply.sse.keepAlive()
      // Otherwise the head waits for the first event.
      reply.sse.sendHeaders()
      handles.add(reply)
      reply.sse.onClose(() => handles.delete(reply))
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
        for (const reply of handles) reply.sse.send({ data }).catch(ignore)
      },
      send: (reply, data) => reply.sse.send({ data }),
      pump: (reply, source) => reply.sse.send(messages(source)),
      onClose: (reply, listener) => reply.sse.onClose(() => listener()),
      async close() {
        await shut(app.server)
        await app.close()
      },
    } satisfies Service<FastifyReply>
  },
}

/** A client that left in the middle of a broadcast is no error of the bench. */
function ignore(): void {}

async function* messages(source: AsyncIterable<string>): AsyncGenerator<{ data: string }> {
  for await (const data of source) yield { data }
}
