// Streams over real servers: node:http, http2, Express, Koa.
import { EventEmitter, getEventListeners, once } from 'node:events'
import { mkdtemp } from 'node:fs/promises'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  capabilities,
  createEventStream,
  type EventStream,
  type EventStreamOptions,
  metrics,
} from '../../src/index.js'
import { sharedMonitor } from '../../src/liveness/monitor.js'
import { getKernelOption } from '../../src/native/binding.js'
import { cleanup, listen } from '../support/cleanup.js'
import { listen as listenTo, serverOf } from '../support/framework-servers.js'
import { fillUp, type OpenStream, opener } from '../support/open-stream.js'
import { connect } from '../support/protocol-client.js'
import { waitFor } from '../support/wait-for.js'

/** Of everything that a stream listens to. */
function listenersOn(...emitters: EventEmitter[]): unknown[] {
  return emitters.flatMap((each) =>
    ['close', 'drain', 'end', 'error', 'finish'].flatMap((event) => each.rawListeners(event)),
  )
}

/** Serves one stream, and a raw client of it. */
async function open(
  options: EventStreamOptions = {},
  request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
): Promise<{
  stream: EventStream
  client: net.Socket
  text: () => string
  serverSocket: net.Socket
}> {
  const created = new EventEmitter()
  const server = http.createServer((req, res) => {
    try {
      created.emit('stream', createEventStream(req, res, options), req.socket)
    } catch (error) {
      created.emit('error', error)
      res.end()
    }
  })
  const port = await listen(server)
  const client = net.connect(port, '127.0.0.1')
  cleanup.push(() => client.destroy())
  client.on('error', () => {})
  let received = ''
  client.on('data', (chunk) => {
    received += chunk
  })
  const both = new Promise<[EventStream, net.Socket]>((resolve, reject) => {
    created.once('stream', (stream, socket) => resolve([stream, socket]))
    created.once('error', reject)
  })
  client.write(request)
  const [stream, serverSocket] = await both
  return { stream, client, text: () => received, serverSocket }
}

describe('createEventStream', () => {
  it('sends the head at once, with the right headers', async () => {
    const { text } = await open()
    await waitFor('the head', () => text().includes('\r\n\r\n'))
    expect(text()).toMatch(/^HTTP\/1.1 200 OK\r\n/)
    expect(text()).toMatch(/content-type: text\/event-stream; charset=utf-8\r\n/i)
    expect(text()).toMatch(/cache-control: no-cache, no-transform\r\n/i)
    expect(text()).toMatch(/x-accel-buffering: no\r\n/i)
  })

  it("sends each header once, the application's own before ours, however it is spelt", async () => {
    const type = 'text/event-stream; charset=UTF-8'
    const headers = { 'Content-Type': type, 'Cache-Control': 'no-store', 'Set-Cookie': ['a', 'b'] }
    const { text } = await open({ headers })
    await waitFor('the head', () => text().includes('\r\n\r\n'))
    expect(text().match(/^content-type: .*$/gim)).toEqual([`Content-Type: ${type}`])
    expect(text().match(/^cache-control: .*$/gim)).toEqual(['Cache-Control: no-store'])
    expect(text().match(/^set-cookie: .*$/gim)?.length).toBe(2)
    expect(text()).toMatch(/x-accel-buffering: no\r\n/i)
  })

  it('close() settles over a Unix socket whose client reads nothing', async () => {
    const path = join(await mkdtemp(join(tmpdir(), 'tcp-sse-')), 'socket')
    const unix = http.createServer((req, res) => {
      const stream = createEventStream(req, res)
      stream.send({ data: 'x'.repeat(1_000) })
      unix.emit('test', stream)
    })
    await new Promise<void>((resolve) => unix.listen(path, resolve))
    const client = net.connect(path).pause()
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    const [stream] = (await once(unix, 'test')) as [EventStream]
    expect((await stream.close()).reason).toBe('ended')
    client.destroy()
    unix.close()
  })

  it('sends events and comments, and counts their bytes', async () => {
    const { stream, text } = await open()
    expect(stream.send({ event: 'tick', id: '1', data: { n: 1 } })).toBe('sent')
    expect(stream.comment('hi')).toBe('sent')
    await waitFor(
      'the events',
      () => text().includes('data: {"n":1}\n\n') && text().includes(': hi\n\n'),
    )
    const { reason, bytesSent, error } = await stream.close()
    expect({ reason, error, bytesSent }).toEqual({
      reason: 'ended',
      error: undefined,
      bytesSent: 33 + 6,
    })
  })

  it('answers HEAD with the head only', async () => {
    const { stream, text } = await open({}, 'HEAD / HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(stream.send({ data: 1 })).toBe('closed')
    await waitFor('the head', () => text().endsWith('\r\n\r\n'))
    expect((await stream.closed).reason).toBe('ended')
  })

  it('reads Last-Event-ID as UTF-8', async () => {
    const { stream } = await open({}, 'GET / HTTP/1.1\r\nHost: x\r\nLast-Event-ID: \u00fc7\r\n\r\n')
    expect(stream.lastEventId).toBe('ü7')
  })

  it('says client-closed on FIN, and aborts its signal with the close info', async () => {
    const { stream, client } = await open()
    const { signal } = stream
    client.end()
    const info = await stream.closed
    expect(info.reason).toBe('client-closed')
    expect(signal.reason).toMatchObject({ name: 'AbortError', closeInfo: info })
    expect(stream.state).toBe('closed')
    expect(stream.send({ data: 1 })).toBe('closed')
    expect(stream.send({ id: 'never\nthrows after the end' })).toBe('closed')
    expect(stream.comment('x')).toBe('closed')
  })

  it('says client-reset on RST', async () => {
    const { stream, client } = await open()
    client.resetAndDestroy()
    const { reason, error } = await stream.closed
    expect(reason).toBe('client-reset')
    expect(error).toMatchObject({ code: 'ECONNRESET' })
  })

  it('is closed at birth where the client left before it was created', async () => {
    const gone = new EventEmitter()
    const server = http.createServer((req, res) => {
      res.on('close', () => gone.emit('late', createEventStream(req, res)))
      req.socket.emit('tcp-sse-test')
    })
    const port = await listen(server)
    const late = new Promise<EventStream>((resolve) => gone.once('late', resolve))
    const client = net.connect(port, '127.0.0.1')
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await new Promise((resolve) => server.once('request', resolve))
    client.end()
    const stream = await late
    expect(stream.state).toBe('closed')
    expect((await stream.closed).reason).toBe('client-closed')
    await waitFor('no watch', () => sharedMonitor.size === 0)
  })

  it('says aborted by its signal, and leaves no listener on it', async () => {
    const controller = new AbortController()
    const { stream } = await open({ signal: controller.signal })
    expect(getEventListeners(controller.signal, 'abort').length).toBe(1)
    controller.abort(new Error('enough'))
    expect(await stream.closed).toMatchObject({ reason: 'aborted', error: { message: 'enough' } })
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  })

  it('leaves no listener on a signal that outlives it', async () => {
    const { signal } = new AbortController()
    const { stream, client } = await open({ signal })
    client.destroy()
    await stream.closed
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  it('queues for a client that does not read, and closes it when the queue overflows', async () => {
    const { stream, client } = await open({ maxBufferedBytes: 100_000 })
    client.pause()
    const results = new Set<string>()
    while (!results.has('closed')) results.add(stream.send({ data: 'x'.repeat(10_000) }))
    expect([...results]).toEqual(['sent', 'queued', 'closed'])
    const { reason, error } = await stream.closed
    expect([reason, (error as NodeJS.ErrnoException).code]).toEqual(['overflow', 'ERR_OVERFLOW'])
    // Nine events of 10 008 bytes fit.
    expect(error?.message).toMatch(
      /^9 events \(90072 bytes\) wait .* 10008 bytes .* maxBufferedBytes \(100000\)/,
    )
    expect(error?.message).toMatch(/writable\(\).*sendAll.*onOverflow/)
  })

  it('names maxBufferedEvents where that is the limit', async () => {
    const { stream, client } = await open({ maxBufferedEvents: 2 })
    client.pause()
    while (stream.send({ data: 'x'.repeat(10_000) }) !== 'closed');
    expect((await stream.closed).error?.message).toMatch(/^2 events .* maxBufferedEvents \(2\)/)
  })

  it('takes one event larger than maxBufferedBytes for a client that is behind for a moment', async () => {
    const { stream, client, text } = await open({ maxBufferedBytes: 50_000 })
    client.pause()
    while (stream.send({ data: 'x'.repeat(1_000) }) === 'sent');
    client.resume()
    await stream.writable()
    client.pause()
    while (stream.send({ data: 'x'.repeat(1_000) }) === 'sent');
    expect(stream.send({ id: 'large', data: 'y'.repeat(2_000_000) })).toBe('queued')
    client.resume()
    await waitFor('the large event', () => text().includes('id: large'))
    expect((await stream.close()).reason).toBe('ended')
  })

  it('delivers everything in order through the queue', async () => {
    const { stream, client, text } = await open({ maxBufferedBytes: 50_000_000 })
    client.pause()
    for (let id = 0; id < 2_000; id++) stream.send({ id, data: 'x'.repeat(5_000) })
    client.resume()
    const end = stream.close()
    expect((await end).reason).toBe('ended')
    await waitFor('the last chunk', () => text().endsWith('0\r\n\r\n'))
    const ids = [...text().matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))
    expect(ids).toEqual(Array.from({ length: 2_000 }, (_, id) => id))
  })

  it.runIf(capabilities().addon)(
    'arms the connection, and leaves TCP_USER_TIMEOUT as it was',
    async () => {
      const { stream, serverSocket } = await open({ detectWithin: 10_000 })
      expect(getKernelOption(serverSocket, 'TCP_USER_TIMEOUT')).toBeGreaterThan(5_000)
      expect(getKernelOption(serverSocket, 'SO_KEEPALIVE')).toBe(1)
      await stream.close()
      await waitFor('the end of the watch', () => sharedMonitor.size === 0)
      if (!serverSocket.destroyed) expect(getKernelOption(serverSocket, 'TCP_USER_TIMEOUT')).toBe(0)
    },
  )

  for (const [title, finish] of [
    ['its client leaves', ({ client }) => void client.destroy()],
    ['it is closed', ({ stream }) => void stream.close()],
    ['it is aborted', ({ stream }) => stream.abort()],
  ] as [string, (opened: OpenStream) => void][]) {
    it(`leaves no listener and no watch behind when ${title}`, async () => {
      let before: unknown[] = []
      const server = await opener(cleanup, (req, res) => {
        before = listenersOn(req.socket, res)
      })
      const opened = await server.open({ fastPath: false })
      const { stream, client, res, socket } = opened
      // With everything that is listened for: room, and the peer's end while an event is on its way.
      client.pause()
      await fillUp(stream)
      const ours = listenersOn(socket, res).filter((each) => !before.includes(each))
      expect(ours.length).toBeGreaterThanOrEqual(capabilities().addon ? 3 : 2)
      client.resume()
      finish(opened)
      await stream.closed
      expect(listenersOn(socket, res).filter((each) => ours.includes(each))).toEqual([])
      await waitFor('the end of the watch', () => sharedMonitor.size === 0)
    })
  }

  it('says closed, and raises no error, after the application has ended the response itself', async () => {
    let stream: EventStream | undefined
    const server = http.createServer((req, res) => {
      stream = createEventStream(req, res)
      res.end()
      expect(stream.send({ data: 1 })).toBe('closed')
    })
    const port = await listen(server)
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe(':\n\n')
    expect((await stream?.closed)?.reason).toBe('ended')
  })

  it('sends heartbeats on a quiet stream', async () => {
    const { text } = await open({ detectWithin: 4_000, heartbeat: 300 })
    await waitFor('two heartbeats', () => (text().match(/: \n\n/g) ?? []).length >= 2)
  })

  it('refuses what is no response, and a response that has begun', async () => {
    const code = 'ERR_NOT_A_RESPONSE'
    expect(() => createEventStream({} as never, {} as never)).toThrow(
      expect.objectContaining({ code }),
    )
    const server = http.createServer((req, res) => {
      res.writeHead(200).write('x')
      expect(() => createEventStream(req, res)).toThrow(
        expect.objectContaining({ code: 'ERR_HEADERS_SENT' }),
      )
      res.end()
    })
    const port = await listen(server)
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe('x')
  })

  for (const started of [false, true]) {
    it(`refuses a response that has ended, ${started ? 'with' : 'without'} a head of its own`, async () => {
      for (const protocol of ['http', 'http2'] as const) {
        const errors: unknown[] = []
        const server = serverOf(protocol, (req, res) => {
          if (started) res.writeHead(200)
          res.end('x')
          const opened = metrics().opened
          const refused = (): unknown => createEventStream(req, res)
          for (const when of ['at once', 'once it is over']) {
            const attempt = (): void => {
              expect(refused, when).toThrow(expect.objectContaining({ code: 'ERR_HEADERS_SENT' }))
              expect(metrics().opened).toBe(opened)
              errors.push(when)
            }
            if (when === 'at once') attempt()
            else res.on('close', attempt)
          }
        })
        const { port, close } = await listenTo(server)
        cleanup.push(close)
        const client = await connect(protocol, port)
        cleanup.push(client.leave)
        expect(await client.end).toBe('end')
        await waitFor('both', () => errors.length === 2)
      }
    })
  }

  it('refuses an event with a newline in its id, and stays open', async () => {
    const { stream } = await open()
    expect(() => stream.send({ id: '1\n2' })).toThrow(
      expect.objectContaining({ code: 'ERR_EVENT_INVALID' }),
    )
    expect(stream.send({ id: '1' })).toBe('sent')
  })
})
