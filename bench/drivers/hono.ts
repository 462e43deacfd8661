// Hono's streamSSE on @hono/node-server.
import type { Server } from 'node:http'
import { createAdaptorServer } from '@hono/node-server'
import { Hono } from 'hono'
import { type SSEStreamingApi, streamSSE } from 'hono/streaming'
import { type Driver, listen, type Service, shut } from './driver.js'

export const driver: Driver<SSEStreamingApi> = {
  async serve(host) {
    const handles = new Set<SSEStreamingApi>()
    const app = new Hono()
    app.get('/', (context) =>
      streamSSE(context, async (stream) => {
        handles.add(stream)
        // The response lasts as long as this callback.
        await new Promise<void>((resolve) => stream.onAbort(resolve))
        handles.delete(stream)
      }),
    )
    const server = createAdaptorServer({ fetch: app.fetch }) as Server
    const port = await listen(server, host)
    return {
      port,
      server,
      path: '/',
      handles,
      forms: ['loop', 'awaited'],
      broadcast(data) {
        for (const stream of handles) void stream.writeSSE({ data })
      },
      send: (stream, data) => stream.writeSSE({ data }),
      onClose: (stream, listener) => stream.onAbort(() => listener()),
      close: () => shut(server),
    } satisfies Service<SSEStreamingApi>
  },
}
