// One client decides how many streams it opens on its connection: there is a limit.
import http2 from 'node:http2'
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { createEventStream, type EventStream } from '../../src/index.js'
import { streamsOn } from '../../src/stream/admission.js'
import { streamSettings } from '../../src/stream/options.js'
import type { NodeResponse } from '../../src/transport/node-transport.js'
import { cleanup } from '../support/cleanup.js'
import { frameworks, listen, serverOf } from '../support/framework-servers.js'
import { waitFor } from '../support/wait-for.js'

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'

interface Answer {
  readonly stream: http2.ClientHttp2Stream
  readonly status: Promise<number | undefined>
  text: string
}

function connect(port: number, scheme: string): http2.ClientHttp2Session {
  const session = http2.connect(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false })
  session.on('error', () => {})
  cleanup.push(() => session.destroy())
  return session
}

function request(session: http2.ClientHttp2Session): Answer {
  const stream = session.request({ ':path': '/' })
  stream.on('error', () => {})
  const status = new Promise<number | undefined>((resolve) =>
    stream.on('response', (headers) => resolve(headers[':status'])),
  )
  const answer = { stream, status, text: '' }
  stream.setEncoding('utf8').on('data', (chunk) => {
    answer.text += chunk
  })
  return answer
}

describe('maxStreamsPerConnection', () => {
  for (const { name, serve } of frameworks.filter(({ protocols }) => protocols.includes('http2'))) {
    it(`answers one stream too many on an HTTP/2 connection with 503, with ${name}`, async () => {
      const streams: EventStream[] = []
      const { port, close } = await serve('http2', { maxStreamsPerConnection: 2 }, (stream) => {
        streams.push(stream)
      })
      cleanup.push(close)
      const session = connect(port, 'https')
      const [first, second] = [request(session), request(session)]
      expect(await Promise.all([first.status, second.status])).toEqual([200, 200])
      const third = request(session)
      expect(await third.status).toBe(503)
      await waitFor('the answer', () => third.text.endsWith('\n'))
      expect(third.text).toBe('There are too many event streams on this connection.\n')
      expect(streams[2]?.state).toBe('closed')
      expect((await streams[2]?.closed)?.reason).toBe('refused')
      // Another connection is not concerned, and a stream that ends makes room.
      expect(await request(connect(port, 'https')).status).toBe(200)
      first.stream.close()
      await waitFor('its end', () => streams[0]?.state === 'closed')
      expect(await request(session).status).toBe(200)
      expect(second.stream.closed).toBe(false)
    })
  }

  for (const { name, serve } of frameworks) {
    it(`turns away one request too many that is sent ahead over HTTP/1, with ${name}`, async () => {
      const streams: EventStream[] = []
      const { port, close } = await serve('http', { maxStreamsPerConnection: 2 }, (stream) => {
        streams.push(stream)
      })
      cleanup.push(close)
      const client = net.connect(port, '127.0.0.1')
      client.on('error', () => {})
      cleanup.push(() => client.destroy())
      client.write(GET.repeat(4))
      await waitFor('the streams', () => streams.length === 4)
      expect(streams.map(({ state }) => state)).toEqual(['open', 'open', 'closed', 'closed'])
    })
  }

  it('is 1 000 unless something else is asked for, and can be off', () => {
    expect(streamSettings({}).maxStreamsPerConnection).toBe(1_000)
    expect(streamSettings({ maxStreamsPerConnection: false }).maxStreamsPerConnection).toBe(false)
  })

  it('forgets the streams of a connection, for each way to end', async () => {
    const streams: EventStream[] = []
    const responses: NodeResponse[] = []
    const sockets = new Set<net.Socket>()
    const server = serverOf('http', (req, res) => {
      sockets.add(req.socket)
      responses.push(res)
      streams.push(createEventStream(req, res, { maxStreamsPerConnection: 1 }))
    })
    const { port, close } = await listen(server)
    cleanup.push(close)
    const client = net.connect(port, '127.0.0.1')
    client.on('error', () => {})
    cleanup.push(() => client.destroy())
    const ends = [() => void streams[0]?.close(), () => void responses[1]?.end()]
    for (const [index, end] of ends.entries()) {
      client.write(GET)
      await waitFor('the stream', () => streams.length === index + 1)
      expect(streams[index]?.state).toBe('open')
      end()
      await waitFor('its end', () => streams[index]?.state === 'closed')
    }
    client.write(GET)
    await waitFor('the last', () => streams.length === 3)
    const [socket] = sockets
    expect([sockets.size, streamsOn(socket)]).toEqual([1, 1])
    client.resetAndDestroy()
    await waitFor('its end', () => streams[2]?.state === 'closed')
    expect(streamsOn(socket)).toBe(0)
  })
})
