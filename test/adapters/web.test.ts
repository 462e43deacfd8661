// The web's Response: read by hand, without a socket, and on servers that expose Node's response.
import { once } from 'node:events'
import net from 'node:net'
import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { eventStream } from '../../src/adapters/hono.js'
import { createEventResponse, type EventResponseOptions } from '../../src/adapters/web.js'
import { capabilities, type EventStream, encodeEvent } from '../../src/index.js'
import { sharedMonitor } from '../../src/liveness/monitor.js'
import { cleanup } from '../support/cleanup.js'
import { delay } from '../support/delay.js'
import { adaptorServer, listen, type Protocol } from '../support/framework-servers.js'
import { connect } from '../support/protocol-client.js'
import { waitFor } from '../support/wait-for.js'

const request = (init?: RequestInit): Request => new Request('http://x/', init)
const decode = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes)

function open(options: EventResponseOptions = {}, init?: RequestInit) {
  const { response, stream } = createEventResponse(request(init), options)
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  // What goes with the head; tests are about what follows.
  void reader.read()
  return { response, stream, reader }
}

describe('a Response without a socket', () => {
  it('has nothing waiting when it has ended', async () => {
    const { response, stream } = createEventResponse(request())
    stream.send({ data: 'x' })
    const text = response.text()
    await stream.close()
    expect(await text).toBe(':\n\ndata: x\n\n')
    expect(stream.buffered().pending).toBe(0)
  })

  it('has the head, with the headers of the application', async () => {
    const headers = { 'Cache-Control': 'no-store', 'set-cookie': ['a=1', 'b=2'] }
    const { response, stream } = open({ headers })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('x-accel-buffering')).toBe('no')
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    stream.abort()
  })

  it('counts room in bytes: highWaterMark, 16 KiB by default', async () => {
    for (const highWaterMark of [16_384, 100_000]) {
      const { stream, reader } = open(highWaterMark === 16_384 ? {} : { highWaterMark })
      const event = encodeEvent({ data: 'x'.repeat(1_000) })
      let sent = 0
      while (sent < 2 * highWaterMark && stream.send(event) === 'sent') sent += event.bytes.length
      expect(sent).toBeGreaterThan(highWaterMark - 2 * event.bytes.length)
      expect(sent).toBeLessThan(highWaterMark)
      expect(stream.buffered().pending).toBe(sent + event.bytes.length)
      let room = false
      const writable = stream.writable().then((value) => {
        room = value
      })
      await Promise.resolve()
      expect(room).toBe(false)
      await reader.read()
      await reader.read()
      await writable
      expect(room).toBe(true)
      await reader.cancel()
    }
  })

  it('brings everything in order to a slow reader, then the end', async () => {
    const { stream, reader } = open({ maxBufferedBytes: 50_000_000 })
    for (let id = 0; id < 500; id++) stream.send({ id, data: 'x'.repeat(id * 10) })
    const closed = stream.close()
    expect(stream.state).toBe('closing')
    let text = ''
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      text += decode(value)
    }
    expect([...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))).toEqual(
      Array.from({ length: 500 }, (_, id) => id),
    )
    expect(await closed).toMatchObject({ reason: 'ended', error: undefined })
  })

  it('says ended only when the body has been read', async () => {
    const { stream, reader } = open({ stallTimeout: false })
    stream.send({ data: 'x' })
    let ended = false
    const closed = stream.close().then(() => {
      ended = true
    })
    await delay(100)
    expect(ended).toBe(false)
    await reader.read()
    await closed
  })

  it('says client-closed when the body is cancelled, and stops the source', async () => {
    const { stream, reader } = open()
    let returned = false
    async function* events() {
      try {
        for (;;) yield { data: 'x'.repeat(100) }
      } finally {
        returned = true
      }
    }
    const sendAll = stream.sendAll(events())
    await reader.read()
    await reader.cancel()
    expect(await stream.closed).toMatchObject({ reason: 'client-closed', error: undefined })
    expect(await sendAll).toMatchObject({ reason: 'closed' })
    expect(returned).toBe(true)
    expect(stream.send({ data: 1 })).toBe('closed')
  })

  it('says client-closed when request.signal aborts, and fails the body', async () => {
    const controller = new AbortController()
    const { stream, reader } = open({}, { signal: controller.signal })
    const read = reader.read()
    controller.abort(new Error('gone'))
    expect((await stream.closed).reason).toBe('client-closed')
    await expect(read).rejects.toThrow('gone')
  })

  it('is closed at birth when request.signal has aborted already', async () => {
    const { stream, reader } = open({}, { signal: AbortSignal.abort() })
    expect(stream.state).toBe('closed')
    expect((await stream.closed).reason).toBe('client-closed')
    expect(await reader.read()).toMatchObject({ done: true })
  })

  it('fails the body when the stream is aborted', async () => {
    const { stream, reader } = open()
    const read = reader.read()
    stream.abort()
    await expect(read).rejects.toMatchObject({ code: 'ERR_STREAM_GIVEN_UP' })
    expect((await stream.closed).reason).toBe('aborted')
  })

  it('sends heartbeats', async () => {
    const { stream, reader } = open({ detectWithin: 4_000, heartbeat: 300 })
    expect(decode((await reader.read()).value)).toBe(': \n\n')
    stream.abort()
  })

  it('closes an unread one as stalled, and not one that is read slowly', async () => {
    const options = { detectWithin: 4_000, stallTimeout: 1_000, heartbeat: false } as const
    const [dead, slow] = [open(options), open(options)]
    for (const { stream } of [dead, slow]) {
      for (let i = 0; i < 200; i++) stream.send({ data: 'x'.repeat(1_000) })
    }
    const timer = setInterval(() => void slow.reader.read(), 300)
    cleanup.push(() => clearInterval(timer))
    expect(await dead.stream.closed).toMatchObject({
      reason: 'stalled',
      error: { code: 'ERR_PEER_STALLED' },
    })
    expect(slow.stream.state).toBe('open')
    slow.stream.abort()
  })

  it('says what it cannot know', async () => {
    const { stream, reader } = open()
    expect(stream.inspect()).toBeUndefined()
    expect(stream.delivered()).toBeUndefined()
    expect(stream.verdict).toBe('alive')
    expect(await stream.sendConfirmed({ data: 'x' })).toBe('unknown')
    expect(stream.buffered()).toMatchObject({ unsent: undefined, unacked: undefined })
    await reader.cancel()
    expect(await stream.closed).toMatchObject({ delivered: undefined, undelivered: undefined })
  })

  it('gives each reader a copy of the bytes, so that changes affect no other stream', async () => {
    const shared = encodeEvent({ data: 'shared' })
    const [first, second] = [open(), open()]
    first.stream.send(shared)
    second.stream.send(shared)
    const { value } = await first.reader.read()
    value?.fill(0)
    expect(value?.buffer.byteLength).toBe(shared.bytes.length)
    expect(decode((await second.reader.read()).value)).toBe('data: shared\n\n')
    expect(shared.bytes.toString()).toBe('data: shared\n\n')
    first.stream.abort()
    second.stream.abort()
  })

  it('answers HEAD with a head and no body', async () => {
    const { response, stream } = createEventResponse(request({ method: 'HEAD' }))
    expect(response.body).toBeNull()
    expect(stream.send({ data: 1 })).toBe('closed')
    expect((await stream.closed).reason).toBe('ended')
  })

  it('reads Last-Event-ID as UTF-8', () => {
    const headers = { 'last-event-id': Buffer.from('ü7').toString('latin1') }
    const { stream } = open({}, { headers })
    expect(stream.lastEventId).toBe('ü7')
    stream.abort()
  })

  const refused: [unknown, unknown, string][] = [
    [request(), { highWaterMark: 0 }, 'ERR_OPTION_VALUE'],
    [request(), { highWaterMark: '1k' }, 'ERR_OPTION_TYPE'],
    [request(), { highwatermark: 1 }, 'ERR_OPTION_UNKNOWN'],
    [{}, {}, 'ERR_NOT_A_REQUEST'],
    [undefined, {}, 'ERR_NOT_A_REQUEST'],
  ]
  for (const [what, options, code] of refused) {
    it(`refuses ${JSON.stringify(options)} of ${what}: ${code}`, () => {
      expect(() => createEventResponse(what as never, options as never)).toThrow(
        expect.objectContaining({ code }),
      )
    })
  }
})

describe('Hono on @hono/node-server', () => {
  /** Serves streams of Hono's, and lists them. */
  async function serve({
    protocol = 'http',
    ...options
  }: EventResponseOptions & { protocol?: Protocol } = {}) {
    const opened: { stream: EventStream }[] = []
    const app = new Hono()
    app.use(async (c, next) => {
      c.header('x-before', 'kept')
      c.header('set-cookie', 'a=1')
      c.status(201)
      await next()
      c.header('x-after', 'kept too')
    })
    app.get('/', (c) => {
      const { response, stream } = eventStream(c, options)
      opened.push({ stream })
      return response
    })
    const { port, close } = await listen(adaptorServer(protocol, app.fetch))
    cleanup.push(close)
    return { port, opened }
  }

  it('keeps the status and headers that were set on the context before, and after', async () => {
    const { port, opened } = await serve({ headers: { 'x-option': 'mine', 'set-cookie': 'b=2' } })
    const client = await connect('http', port)
    expect(client.status).toBe(201)
    expect(client.headers).toMatchObject({
      'set-cookie': ['a=1', 'b=2'],
      'x-before': 'kept',
      'x-after': 'kept too',
      'x-option': 'mine',
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
    })
    opened[0]?.stream.abort()
  })

  it('answers HEAD with a head', async () => {
    const { port, opened } = await serve()
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'HEAD' })
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect((await opened[0]?.stream.closed)?.reason).toBe('ended')
  })

  it('finds the socket: watched, inspected, with delivery unknown', async () => {
    const { port, opened } = await serve()
    const client = await connect('http', port)
    const stream = opened[0]?.stream as EventStream
    expect(sharedMonitor.size).toBe(1)
    expect(stream.inspect()?.status).toBe(capabilities().addon ? 'ok' : 'unavailable')
    expect(stream.delivered()).toBeUndefined()
    expect(await stream.sendConfirmed({ data: 'x' })).toBe('unknown')
    await waitFor('the event', () => client.text() === ':\n\ndata: x\n\n')
    await stream.close()
    expect(await client.end).toBe('end')
    await waitFor('no watch', () => sharedMonitor.size === 0)
  })

  it('says client-reset on RST, and resets at an abort', async () => {
    const { port, opened } = await serve()
    const socket = net.connect(port, '127.0.0.1')
    cleanup.push(() => socket.destroy())
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    const first = await waitFor('a stream', () => opened[0])
    socket.resetAndDestroy()
    expect(await first.stream.closed).toMatchObject({
      reason: 'client-reset',
      error: { code: 'ECONNRESET' },
    })
    const other = net.connect(port, '127.0.0.1')
    cleanup.push(() => other.destroy())
    let error: Error | undefined
    other.on('error', (reset) => {
      error = reset
    })
    other.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    // Read first: libuv reports a reset that comes together with unread bytes as an end.
    await once(other, 'data')
    opened[1]?.stream.abort()
    await new Promise((resolve) => other.on('close', resolve))
    expect(error).toMatchObject({ code: 'ECONNRESET' })
  })

  it('serves the next request on the connection after a stream has ended', async () => {
    const { port, opened } = await serve()
    const socket = net.connect(port, '127.0.0.1')
    cleanup.push(() => socket.destroy())
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    for (let i = 0; i < 2; i++) {
      socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
      const { stream } = await waitFor('a stream', () => opened[i])
      stream.send({ data: `number ${i}` })
      expect((await stream.close()).reason).toBe('ended')
    }
    await waitFor('both', () => text.includes('number 0') && text.includes('number 1'))
  })

  it('closes a client that stops reading as stalled', async () => {
    const { port, opened } = await serve({
      detectWithin: 4_000,
      stallTimeout: 1_000,
      maxBufferedBytes: 50_000_000,
    })
    const client = await connect('http', port)
    client.pause()
    const stream = opened[0]?.stream as EventStream
    for (let i = 0; i < 1_000; i++) stream.send({ data: 'x'.repeat(20_000) })
    expect((await stream.closed).reason).toBe('stalled')
    client.resume()
    expect(await client.end).toBe('cut')
  })

  for (const protocol of ['http', 'http2'] as const) {
    it(`does not take a slow reader for stalled over ${protocol}`, async () => {
      const { port, opened } = await serve({
        detectWithin: 4_000,
        stallTimeout: 1_000,
        maxBufferedBytes: 50_000_000,
        protocol,
      })
      const client = await connect(protocol, port)
      const stream = opened[0]?.stream as EventStream
      client.pause()
      // As much as it takes a while to read, some of it in an event that is larger than all buffers on the way.
      stream.send({ data: 'x'.repeat(1_000_000) })
      for (let i = 0; i < 1_500; i++) stream.send({ data: 'x'.repeat(20_000) })
      let reads = 0
      const timer = setInterval(() => {
        reads += 1
        client.readSome(300_000)
      }, 100)
      cleanup.push(() => clearInterval(timer))
      await Promise.race([stream.closed, waitFor('many reads', () => reads === 40)])
      expect(stream.state).toBe('open')
      expect(stream.buffered().pending).toBeGreaterThan(1_000_000)
      clearInterval(timer)
      stream.abort()
    })
  }
})
