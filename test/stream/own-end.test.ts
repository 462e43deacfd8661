// The application ends the response itself, behind the stream's back.
import http from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import { describe, expect, it } from 'vitest'
import { createEventStream, type EventStreamOptions } from '../../src/index.js'
import { cleanup, listen } from '../support/cleanup.js'
import { listen as listenTo, serverOf } from '../support/framework-servers.js'
import { fillUp, opener } from '../support/open-stream.js'
import { connect } from '../support/protocol-client.js'
import { waitFor } from '../support/wait-for.js'

describe("after the application's own res.end()", () => {
  it('writable() says false, also to those who wait when the client reads on', async () => {
    const { stream, res, client } = await (await opener(cleanup)).open({ maxBufferedBytes: 1e8 })
    client.pause()
    await fillUp(stream)
    const room = stream.writable()
    res.end()
    expect(await stream.writable()).toBe(false)
    client.resume()
    expect(await room).toBe(false)
    expect((await stream.closed).reason).toBe('ended')
  })

  const below: ['http' | 'http2', string, (res: never) => void][] = [
    ['http', 'socket.end()', (res: http.ServerResponse) => void res.socket?.end()],
    ['http', 'socket.destroy()', (res: http.ServerResponse) => void res.socket?.destroy()],
    ['http', 'res.destroy()', (res: http.ServerResponse) => void res.destroy()],
    ['http2', 'stream.end()', (res: Http2ServerResponse) => void res.stream.end()],
    ['http2', 'stream.close()', (res: Http2ServerResponse) => void res.stream.close()],
    ['http2', 'stream.destroy()', (res: Http2ServerResponse) => void res.stream.destroy()],
    ['http2', 'res.destroy()', (res: Http2ServerResponse) => void res.destroy()],
  ]
  for (const [protocol, what, end] of below) {
    for (const fastPath of [true, false]) {
      it(`nothing is sent after ${what} over ${protocol}, fastPath ${fastPath}`, async () => {
        const seen: unknown[] = []
        const server = serverOf(protocol, async (req, res) => {
          const stream = createEventStream(req, res, { fastPath })
          stream.send({ data: 'before' })
          end(res as never)
          seen.push(stream.send({ data: 'after' }), await stream.writable())
          const { reason } = await stream.closed
          seen.push(reason)
        })
        const { port, close } = await listenTo(server)
        cleanup.push(close)
        const client = await connect(protocol, port).catch(() => undefined)
        if (client !== undefined) cleanup.push(client.leave)
        await waitFor('the end', () => seen.length === 3)
        expect(seen).toEqual(['closed', false, expect.stringMatching(/^(client-closed|ended)$/)])
      })
    }
  }

  const options: [string, EventStreamOptions][] = [
    ['a plain stream', {}],
    ['a stream without the fast path', { fastPath: false }],
    ['a stream that is aborted from the start', { signal: AbortSignal.abort() }],
  ]
  for (const [title, given] of options) {
    it(`leaves no listener on a connection that is kept: ${title}`, async () => {
      const counts: number[][] = []
      const server = http.createServer((req, res) => {
        const { socket } = req
        const before = [socket.listenerCount('end'), socket.listenerCount('close')]
        const stream = createEventStream(req, res, given)
        res.end()
        void stream.closed.then(() => {
          const after = [socket.listenerCount('end'), socket.listenerCount('close')]
          counts.push(after.map((count, index) => count - (before[index] as number)))
        })
      })
      const port = await listen(server)
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
      cleanup.push(() => agent.destroy())
      for (let i = 0; i < 3; i++) {
        await new Promise<void>((resolve) => {
          const request = http.get({ port, host: '127.0.0.1', agent }, (response) => {
            response.resume().on('close', resolve)
          })
          request.on('error', () => resolve())
        })
        await new Promise(setImmediate)
      }
      expect(counts.length).toBe(3)
      for (const [ends] of counts) expect(ends).toBeLessThanOrEqual(0)
    })
  }
})
