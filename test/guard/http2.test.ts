// HTTP/2: one stream of many is given up, and the others do not notice.
import http2 from 'node:http2'
import net from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import {
  type CloseInfo,
  createEventStream,
  type GuardedRequest,
  type GuardedResponse,
} from '../../src/index.js'
import { listen } from '../support/cleanup.js'
import { delay } from '../support/delay.js'
import { waitFor } from '../support/wait-for.js'
import { guard, later, pem, undo } from './scene.js'

afterEach(undo)

interface Reader {
  stream: http2.ClientHttp2Stream
  bytes: number
  closed: boolean
}

function connect(port: number, scheme = 'http'): http2.ClientHttp2Session {
  const session = http2.connect(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false })
  session.on('error', () => {})
  later(() => session.destroy())
  return session
}

function get(session: http2.ClientHttp2Session, path: string, read = true): Reader {
  const reader: Reader = { stream: session.request({ ':path': path }), bytes: 0, closed: false }
  reader.stream.on('error', () => {})
  reader.stream.on('close', () => {
    reader.closed = true
  })
  if (read) {
    reader.stream.on('data', (chunk) => {
      reader.bytes += chunk.length
    })
  }
  return reader
}

describe('a stream of this library under a guard', () => {
  const limits = [
    ['expired', { maxAge: 1_000 }, true],
    ['stalled', { stallTimeout: 1_000 }, false],
  ] as const
  for (const [reason, options, read] of limits) {
    it(`reports ${reason} as the guard does`, async () => {
      let end: Promise<CloseInfo> | undefined
      const server = http2.createServer((req, res) => {
        const stream = createEventStream(req, res, { maxBufferedBytes: 1e8 })
        end = stream.closed
        if (!read) stream.send({ data: 'x'.repeat(4_000_000) })
      })
      const { closes } = guard(server, options)
      get(connect(await listen(server as unknown as net.Server)), '/', read)
      const closed = await waitFor('the stream', () => end)
      expect(closed.reason).toBe(reason)
      expect(String(closed.error?.message)).toMatch(read ? /^undefined$/ : /accepted no byte/)
      expect(closes.map((each) => each.reason)).toEqual([reason])
    })
  }
})

/** `/fill…` gets more than any window holds, the rest a tick now and then. */
function serveCompat(secure: boolean): net.Server {
  const onRequest = (req: http2.Http2ServerRequest, res: http2.Http2ServerResponse): void => {
    const type = req.url.includes('plain') ? 'text/plain' : 'text/event-stream'
    res.writeHead(200, { 'content-type': type })
    if (req.url.startsWith('/fill')) {
      for (let i = 0; i < 400; i++) res.write('x'.repeat(10_000))
    }
    res.write('data: 1\n\n')
    if (req.url === '/quiet') return
    const timer = setInterval(() => res.write('data: 1\n\n'), 50)
    res.on('close', () => clearInterval(timer))
  }
  const server = secure
    ? http2.createSecureServer({ key: pem('key'), cert: pem('cert') }, onRequest)
    : http2.createServer(onRequest)
  return server as unknown as net.Server
}

function serveCore(): net.Server {
  const server = http2.createServer()
  server.on('stream', (stream, headers) => {
    stream.respond({ ':status': 200, 'Content-Type': 'text/event-stream' })
    if (headers[':path']?.startsWith('/fill')) stream.write(Buffer.alloc(4_000_000))
    // No listener for errors: a write after the guard's act must not raise one.
    const timer = setInterval(() => stream.write('data: 1\n\n'), 50)
    stream.on('close', () => setTimeout(() => clearInterval(timer), 300))
  })
  return server as unknown as net.Server
}

const servers: [string, () => net.Server, 'http' | 'https'][] = [
  ['the compatibility API', () => serveCompat(false), 'http'],
  ['the compatibility API over TLS', () => serveCompat(true), 'https'],
  ['the core API', serveCore, 'http'],
]

for (const [title, serve, scheme] of servers) {
  describe(`with ${title}`, () => {
    it('closes a stalled stream and no other on the connection', async () => {
      const server = serve()
      const { guard: made, closes } = guard(server, { stallTimeout: 2_000 })
      const session = connect(await listen(server), scheme)
      const lively = get(session, '/ticks')
      await waitFor('ticks', () => lively.bytes > 0)
      const startedAt = performance.now()
      const stalled = get(session, '/fill', false)
      await waitFor('the close', () => closes.length > 0)
      expect(performance.now() - startedAt).toBeGreaterThanOrEqual(2_000)
      expect(performance.now() - startedAt).toBeLessThan(3_500)
      expect(closes).toMatchObject([{ reason: 'stalled', scope: 'stream', url: '/fill' }])
      stalled.stream.resume()
      await waitFor('its end', () => stalled.closed)
      expect(stalled.stream.rstCode).toBe(http2.constants.NGHTTP2_CANCEL)
      const before = lively.bytes
      await waitFor('more ticks', () => lively.bytes > before + 20)
      expect([session.destroyed, closes.length]).toEqual([false, 1])
      expect(made.stats()).toMatchObject({ connections: 1, streams: 1 })
    })

    it('ends no other stream when the guard is stopped by the first end', async () => {
      const server = serve()
      const ended: (string | undefined)[] = []
      const { guard: made } = guard(server, {
        maxAge: 1_000,
        onClose: ({ url }) => {
          ended.push(url)
          made.stop()
        },
      })
      const session = connect(await listen(server), scheme)
      const readers = ['/1', '/2', '/3'].map((path) => get(session, path))
      await waitFor('an end', () => readers.some(({ closed }) => closed))
      await delay(500)
      expect([ended.length, readers.filter(({ closed }) => closed).length]).toEqual([1, 1])
    })

    it('closes a stream at its age and no other', async () => {
      const server = serve()
      const { closes } = guard(server, { maxAge: 2_000 })
      const session = connect(await listen(server), scheme)
      const old = get(session, '/old')
      await delay(1_000)
      const young = get(session, '/young')
      await waitFor('the close', () => old.closed)
      expect(closes).toMatchObject([{ reason: 'expired', scope: 'stream', url: '/old' }])
      expect(closes[0]?.openedFor).toBeGreaterThanOrEqual(2_000)
      expect([young.closed, session.destroyed]).toEqual([false, false])
      await waitFor('the close of the other', () => young.closed)
      expect(closes.length).toBe(2)
    })
  })
}

describe('an HTTP/2 connection', () => {
  /** A session whose own windows are wide: what stops is TCP beneath them, in a hop that can be told to. */
  async function throughHop(
    port: number,
  ): Promise<{ session: http2.ClientHttp2Session; stop: () => void }> {
    let stop = () => {}
    const hop = net.createServer((near) => {
      const far = net.connect(port, '127.0.0.1')
      near.on('error', () => {}).pipe(far)
      far.on('error', () => {}).pipe(near)
      stop = () => void far.unpipe().pause()
      later(() => far.destroy())
    })
    const session = http2.connect(`http://127.0.0.1:${await listen(hop)}`, {
      settings: { initialWindowSize: 2 ** 30 },
    })
    session.on('error', () => {})
    later(() => session.destroy())
    await new Promise((resolve) => session.once('connect', resolve))
    session.setLocalWindowSize(2 ** 30)
    return { session, stop: () => stop() }
  }

  it('is reset when it takes nothing at all and carried streams only', async () => {
    const server = serveCompat(false)
    const { guard: made, closes } = guard(server, { stallTimeout: 1_000 })
    const { session, stop } = await throughHop(await listen(server))
    const first = [get(session, '/quiet'), get(session, '/ticks')]
    await waitFor('events', () => first.every(({ bytes }) => bytes > 0))
    stop()
    for (let i = 0; i < 5; i++) get(session, `/fill${i}`)
    await waitFor('the end', () => made.stats().connections === 0)
    expect(closes.map(({ reason, scope, url }) => [reason, scope, url]).sort()).toEqual([
      ['stalled', 'stream', '/fill0'],
      ['stalled', 'stream', '/fill1'],
      ['stalled', 'stream', '/fill2'],
      ['stalled', 'stream', '/fill3'],
      ['stalled', 'stream', '/fill4'],
      ['stalled', 'stream', '/quiet'],
      ['stalled', 'stream', '/ticks'],
    ])
  })

  it('stays for a response of another type, and the streams end though no RST_STREAM can leave', async () => {
    const server = serveCompat(false)
    const ended: string[] = []
    server.on('request', (req, res) => res.on('close', () => ended.push(req.url)))
    const { guard: made, closes } = guard(server, { stallTimeout: 1_000 })
    const { session, stop } = await throughHop(await listen(server))
    const ticks = get(session, '/ticks')
    await waitFor('ticks', () => ticks.bytes > 0)
    stop()
    for (let i = 0; i < 5; i++) get(session, `/fill/plain${i}`)
    get(session, '/fill')
    await waitFor('the closes', () => closes.length === 2)
    await waitFor('the application to know', () => ended.length === 2, 500)
    expect(ended.sort()).toEqual(['/fill', '/ticks'])
    expect(made.stats()).toMatchObject({ connections: 1, streams: 0 })
  })

  it('keeps a slow reader of a single large write, which makes progress', async () => {
    const server = http2.createServer()
    server.on('stream', (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'text/event-stream' })
      stream.write(Buffer.alloc(4_000_000))
    })
    const { closes } = guard(server, { stallTimeout: 1_000 })
    const session = connect(await listen(server as unknown as net.Server))
    const slow = get(session, '/', false)
    const timer = setInterval(() => slow.stream.read(), 200)
    await delay(4_000)
    clearInterval(timer)
    expect([closes, slow.closed]).toEqual([[], false])
  })

  it('leaves streams of other types alone', async () => {
    const server = serveCompat(false)
    const { guard: made, closes } = guard(server, { stallTimeout: 1_000, maxAge: 1_000 })
    const session = connect(await listen(server))
    get(session, '/fill/plain', false)
    await delay(2_500)
    expect([closes, made.stats().streams]).toEqual([[], 0])
  })

  it('hands the filter what the application has: request and response, or the stream', async () => {
    const asked: [GuardedRequest, GuardedResponse][] = []
    const filter = (req: GuardedRequest, res: GuardedResponse): boolean => {
      asked.push([req, res])
      return true
    }
    for (const serve of [() => serveCompat(false), serveCore]) {
      const server = serve()
      const { guard: made } = guard(server, { filter })
      get(connect(await listen(server)), '/ticks')
      await waitFor('the stream', () => made.stats().streams === 1)
    }
    expect(asked[0]?.[0]).toBeInstanceOf(http2.Http2ServerRequest)
    expect(asked[0]?.[1]).toBeInstanceOf(http2.Http2ServerResponse)
    expect(asked[1]?.[0]).toBeUndefined()
    expect(asked[1]?.[1]).toHaveProperty('sentHeaders')
  })
})
