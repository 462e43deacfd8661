// Streams of an HTTP/2 connection: each ends separately, and the others continue.
import http2 from 'node:http2'
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import {
  capabilities,
  createEventStream,
  type EventStream,
  type EventStreamOptions,
} from '../../src/index.js'
import { cleanup } from '../support/cleanup.js'
import { listenOn } from '../support/ports.js'
import { waitFor } from '../support/wait-for.js'

interface Connection {
  readonly session: http2.ClientHttp2Session
  /** The connection that the server sees, from the client's side. */
  readonly wire: net.Socket
  /** Opens one more stream. */
  open(
    headers?: http2.OutgoingHttpHeaders,
  ): Promise<{ stream: EventStream; client: http2.ClientHttp2Stream }>
}

async function connect(options: EventStreamOptions, window = 65_535): Promise<Connection> {
  const waiting: ((stream: EventStream) => void)[] = []
  const server = http2.createServer((req, res) =>
    waiting.shift()?.(createEventStream(req, res, options)),
  )
  const port = await listenOn(server)
  // What the session itself reads cannot be stopped: something in between can.
  const wire = net.connect(port, '127.0.0.1')
  const between = net.createServer((socket) => {
    socket
      .on('error', () => {})
      .pipe(wire)
      .pipe(socket)
  })
  wire.on('error', () => {})
  const session = http2.connect(`http://127.0.0.1:${await listenOn(between)}`, {
    settings: { initialWindowSize: window },
  })
  session.on('connect', () => session.setLocalWindowSize(window))
  session.on('error', () => {})
  cleanup.push(
    () => server.close(),
    () => between.close(),
    () => wire.destroy(),
    () => session.destroy(),
  )
  return {
    session,
    wire,
    async open(headers = {}) {
      const made = new Promise<EventStream>((resolve) => waiting.push(resolve))
      const client = session.request(headers)
      client.on('error', () => {})
      return { stream: await made, client }
    },
  }
}

describe('HTTP/2', () => {
  it('answers HEAD', async () => {
    const { open } = await connect({})
    const { stream, client } = await open({ ':method': 'HEAD' })
    const headers = await new Promise<http2.IncomingHttpHeaders>((resolve) =>
      client.once('response', resolve),
    )
    expect(headers[':status']).toBe(200)
    expect(headers['content-type']).toBe('text/event-stream; charset=utf-8')
    client.resume()
    expect((await stream.closed).reason).toBe('ended')
  })

  it('closes one that takes nothing as stalled, reports what waits, and leaves the others alone', async () => {
    const { open, session } = await connect({ stallTimeout: 1_000, maxBufferedBytes: 100_000_000 })
    const stuck = await open()
    const fine = await open()
    let seen = ''
    fine.client.setEncoding('utf8').on('data', (chunk) => {
      seen += chunk
    })
    stuck.client.pause()
    for (let id = 0; id < 100; id++) stuck.stream.send({ id, data: 'x'.repeat(4_000) })
    expect(stuck.stream.buffered().pending).toBeGreaterThan(200_000)
    const { reason } = await stuck.stream.closed
    expect(reason).toBe('stalled')
    expect(stuck.stream.buffered().pending).toBe(0)
    expect(fine.stream.send({ data: 'still here' })).toBe('sent')
    await waitFor('the other stream', () => seen.includes('still here'))
    expect(session.destroyed).toBe(false)
  })

  it('does not take a slow reader of a large event for one', async () => {
    const { open } = await connect({ stallTimeout: 1_500, detectWithin: 4_000 })
    const { stream, client } = await open()
    let bytes = 0
    client.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      client.pause()
    })
    const reading = setInterval(() => client.resume(), 50)
    cleanup.push(() => clearInterval(reading))
    const data = 'x'.repeat(1_000_000)
    stream.send({ id: '1', data })
    const closed = stream.close()
    expect((await closed).reason).toBe('ended')
    const whole = data.length + ':\n\nid: 1\ndata: \n\n'.length
    await waitFor('the whole event', () => bytes === whole, 15_000)
  })

  it('says client-closed when the client ends a stream, with or without an error', async () => {
    const { open } = await connect({})
    for (const code of [http2.constants.NGHTTP2_NO_ERROR, http2.constants.NGHTTP2_CANCEL]) {
      const { stream, client } = await open()
      client.close(code)
      expect((await stream.closed).reason).toBe('client-closed')
    }
  })

  it.runIf(capabilities().addon)(
    'gives up a connection that takes nothing, with the last stream on it',
    async () => {
      // Windows of HTTP/2 that never shut, so that TCP's does.
      const { open, wire } = await connect({ stallTimeout: 1_000, detectWithin: 4_000 }, 50_000_000)
      const { stream, client } = await open()
      client.resume()
      wire.pause()
      function* endless(): Generator<{ data: string }> {
        for (;;) yield { data: 'x'.repeat(10_000) }
      }
      void stream.sendAll(endless())
      expect((await stream.closed).reason).toBe('stalled')
      wire.resume()
      await waitFor('the reset', () => wire.destroyed)
    },
  )
})
