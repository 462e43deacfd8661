// better-sse: sessions, and its channel for broadcasts.
import http from 'node:http'
import { createChannel, createSession, type Session } from 'better-sse'
import { type Driver, listen, type Service, shut } from './driver.js'

export const driver: Driver<Session> = {
  async serve(host, { greeting } = { individually: true }) {
    const handles = new Set<Session>()
    const channel = createChannel()
    const server = http.createServer(async (req, res) => {
      const session = await createSession(req, res)
      if (greeting !== undefined) {
        session.push(greeting)
        return
      }
      channel.register(session)
      handles.add(session)
      session.on('disconnected', () => handles.delete(session))
    })
    const port = await listen(server, host)
    return {
      port,
      server,
      path: '/',
      handles,
      forms: ['loop', 'source'],
      broadcast: (data) => void channel.broadcast(data),
      send(session, data) {
        session.push(data)
        return undefined
      },
      pump: (session, source) => session.iterate(source),
      onClose: (session, listener) => void session.on('disconnected', () => listener()),
      close: () => shut(server),
    } satisfies Service<Session>
  },
}
