// sse-channel: one channel; `send` takes the responses that it is for.
import http, { type ServerResponse } from 'node:http'
import SseChannel from 'sse-channel'
import { type Driver, listen, type Service, shut } from './driver.js'

export const driver: Driver<ServerResponse> = {
  async serve(host) {
    const handles = new Set<ServerResponse>()
    const channel = new SseChannel()
    const server = http.createServer((req, res) => {
      channel.addClient(req, res)
      handles.add(res)
      res.on('close', () => handles.delete(res))
    })
    const port = await listen(server, host)
    return {
      port,
      server,
      path: '/',
      handles,
      forms: ['loop'],
      broadcast: (data) => channel.send({ data }),
      send(res, data) {
        channel.send({ data }, [res])
        return undefined
      },
      onClose(res, listener) {
        channel.on('disconnect', (_channel: unknown, left: ServerResponse) => {
          if (left === res) listener()
        })
      },
      async close() {
        channel.close()
        await shut(server)
      },
    } satisfies Service<ServerResponse>
  },
}
