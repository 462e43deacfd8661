// The common part of both drivers of node:http. They differ only in what they write.
import http, { type ServerResponse } from 'node:http'
import { type Driver, listen, type Service, shut } from './driver.js'

/** A driver of `res.write` with a given way to encode. */
export function serveBare(encode: (data: string) => string | Buffer): Driver<ServerResponse> {
  return {
    async serve(host, { greeting } = { individually: true }) {
      const handles = new Set<ServerResponse>()
      const server = http.createServer((_req, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
        res.flushHeaders()
        if (greeting !== undefined) res.write(encode(greeting))
        handles.add(res)
        res.on('close', () => handles.delete(res))
      })
      const port = await listen(server, host)
      return {
        port,
        server,
        path: '/',
        handles,
        forms: ['loop', 'awaited'],
        broadcast(data) {
          const chunk = encode(data)
          for (const res of handles) res.write(chunk)
        },
        send: (res, data) => (res.write(encode(data)) ? 'sent' : 'queued'),
        // As in Node's documentation, which does not mention clients that leave in the meantime.
        room: (res) => new Promise<void>((resolve) => res.once('drain', resolve)),
        onClose: (res, listener) => void res.on('close', () => listener()),
        close: () => shut(server),
      } satisfies Service<ServerResponse>
    },
  }
}
