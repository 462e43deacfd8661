// The application ends the response itself, behind the stream's back.
import http from 'node:http'
import { describe, expect, it } from 'vitest'
import { createEventStream, type EventStreamOptions } from '../../src/index.js'
import { cleanup, listen } from '../support/cleanup.js'
import { fillUp, opener } from '../support/open-stream.js'

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
