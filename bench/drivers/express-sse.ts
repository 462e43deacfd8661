// express-sse on Express. It has one channel and no way to name a client, so it takes no part in unicast trials.
import http, { type ServerResponse } from 'node:http'
import express from 'express'
import SSE from 'express-sse'
import { type Driver, listen, type Service, shut } from './driver.js'

export const driver: Driver<ServerResponse> = {
  async serve(host) {
    const handles = new Set<ServerResponse>()
    const channel = new SSE()
    const app = express()
    app.get('/', channel.init, () => {})
    const server = http.createServer((req, res) => {
      app(req, res)
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
      broadcast: (data) => channel.send(data),
      send(_res, data) {
        if (handles.size > 1) throw new Error('express-sse cannot send to one client of many.')
        channel.send(data)
        return undefined
      },
      onClose: undefined,
      close: () => shut(server),
    } satisfies Service<ServerResponse>
  },
}
