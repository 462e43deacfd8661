// 406 on each server, as docs/adapters.md shows it, and JSON or a stream from one route.
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { expect, it } from 'vitest'
import { eventStream as expressStream } from '../../src/adapters/express.js'
import { eventStream as fastifyStream } from '../../src/adapters/fastify.js'
import { eventStream as honoStream } from '../../src/adapters/hono.js'
import { eventStream as koaStream } from '../../src/adapters/koa.js'
import { createEventStream, wantsEventStream } from '../../src/index.js'
import { cleanup } from '../support/cleanup.js'
import { adaptorServer, listen, serverOf } from '../support/framework-servers.js'

const event = { data: 'hello' }

const servers: Record<string, () => Promise<number>> = {
  node: () =>
    serve(
      serverOf('http', (req, res) => {
        if (!wantsEventStream(req)) {
          res.writeHead(406, { vary: 'Accept' }).end()
          return
        }
        const stream = createEventStream(req, res, { headers: { vary: 'Accept' } })
        stream.send(event)
        void stream.close()
      }),
    ),
  express: () => {
    const app = express()
    const stream = expressStream({ headers: { vary: 'Accept' } })
    app.get('/', (req, res, next) => {
      if (wantsEventStream(req)) next()
      else res.status(406).vary('Accept').end()
    })
    app.get('/', stream, (_req, res) => {
      res.eventStream.send(event)
      void res.eventStream.close()
    })
    return serve(serverOf('http', app))
  },
  koa: () => {
    const app = new Koa()
    app.use(async (ctx, next) => {
      ctx.vary('Accept')
      if (wantsEventStream(ctx.req)) await next()
      else ctx.status = 406
    })
    app.use(koaStream())
    app.use(({ eventStream }) => {
      eventStream.send(event)
      void eventStream.close()
    })
    return serve(serverOf('http', app.callback()))
  },
  fastify: async () => {
    const app = fastify()
    await app.register(fastifyStream)
    app.get('/', (request, reply) => {
      reply.header('vary', 'Accept')
      if (!wantsEventStream(request)) return reply.code(406).send()
      const stream = reply.eventStream()
      stream.send(event)
      return stream.close()
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    cleanup.push(() => void app.close())
    return (app.server.address() as { port: number }).port
  },
  hono: () => {
    const app = new Hono()
    app.get('/', (c) => {
      c.header('vary', 'Accept')
      if (!wantsEventStream(c.req.raw)) return c.body(null, 406)
      const { response, stream } = honoStream(c)
      stream.send(event)
      void stream.close()
      return response
    })
    return serve(adaptorServer('http', app.fetch))
  },
}

async function serve(server: Parameters<typeof listen>[0]): Promise<number> {
  const { port, close } = await listen(server)
  cleanup.push(close)
  return port
}

for (const [name, start] of Object.entries(servers)) {
  it(`${name} answers 406 to who refuses a stream, and a stream to everybody else`, async () => {
    const url = `http://127.0.0.1:${await start()}/`
    const refused = await fetch(url, { headers: { accept: 'application/json' } })
    expect([refused.status, refused.headers.get('vary')]).toEqual([406, 'Accept'])
    expect(await refused.text()).not.toContain('data:')
    for (const accept of ['text/event-stream', '*/*']) {
      const response = await fetch(url, { headers: { accept } })
      expect([response.status, response.headers.get('vary')]).toEqual([200, 'Accept'])
      expect(await response.text()).toBe(':\n\ndata: hello\n\n')
    }
  })
}
