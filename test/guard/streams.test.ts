// stallTimeout, maxAge and filter over HTTP/1: whom they are for, and what they do.
import { existsSync, readFileSync } from 'node:fs'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import net from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { type CloseInfo, capabilities, createEventStream } from '../../src/index.js'
import { listen } from '../support/cleanup.js'
import { delay } from '../support/delay.js'
import { waitFor } from '../support/wait-for.js'
import { Client, fill, guard, SSE, undo } from './scene.js'

afterEach(undo)

const GET = 'GET /events HTTP/1.1\r\nHost: x\r\n\r\n'
/** Long enough for a stall of one second to be seen, were it not for what the test is about. */
const LONGER = 2_500

const FIN_WAIT1 = '04'
/** The states of this machine's sockets with a local port (proc(5), tcp); none if there is no such file. */
function statesOf(port = 0): string[] {
  if (!existsSync('/proc/net/tcp')) return []
  const local = port.toString(16).toUpperCase().padStart(4, '0')
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n')
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter((each) => each[1]?.endsWith(`:${local}`))
    .map((each) => each[3] ?? '')
}

describe('which responses are event streams', () => {
  const heads: [string, boolean, (res: ServerResponse) => void][] = [
    ['setHeader', true, (res) => void res.setHeader('content-type', 'text/event-stream')],
    ['writeHead with an object', true, (res) => void res.writeHead(200, SSE)],
    [
      'writeHead with a reason and an object',
      true,
      (res) =>
        void res.writeHead(200, 'Fine', { 'CONTENT-TYPE': 'Text/Event-Stream;charset=utf-8' }),
    ],
    [
      'writeHead with an array',
      true,
      (res) => void res.writeHead(200, ['X-A', 'b', 'Content-Type', 'text/event-stream']),
    ],
    [
      'setHeader and writeHead',
      true,
      (res) =>
        void res.setHeader('x-a', 'b').writeHead(200, { 'content-type': 'text/event-stream' }),
    ],
    ['no type', false, (res) => void res.writeHead(200)],
    ['another type', false, (res) => void res.writeHead(200, { 'content-type': 'text/plain' })],
    [
      'a type that begins so',
      false,
      (res) => void res.writeHead(200, { 'content-type': 'text/event-streams' }),
    ],
    [
      'the words elsewhere',
      false,
      (res) => void res.writeHead(200, { 'x-type': 'text/event-stream' }),
    ],
  ]
  for (const [title, expected, head] of heads) {
    it(`${expected ? 'knows' : 'does not take for one'}: ${title}`, async () => {
      const server = http.createServer((_req, res) => {
        head(res)
        res.write('data: 1\n\n')
      })
      const { guard: made } = guard(server)
      await new Client(await listen(server)).sees('data: 1')
      expect(made.stats()).toMatchObject({ connections: 1, streams: expected ? 1 : 0 })
    })
  }

  it('counts a stream until its end', async () => {
    const server = http.createServer((_req, res) => void res.writeHead(200, SSE).end('data: 1\n\n'))
    const { guard: made } = guard(server)
    const client = new Client(await listen(server))
    await client.sees('data: 1')
    await waitFor('the end', () => made.stats().streams === 0)
    expect(made.stats().connections).toBe(1)
  })
})

describe('stallTimeout', () => {
  it('resets a client that takes nothing, after that time and not before', async () => {
    let closedAfter = 0
    const server = http.createServer((_req, res) => {
      const startedAt = performance.now()
      res.on('close', () => {
        closedAfter = performance.now() - startedAt
      })
      fill(res.writeHead(200, SSE))
    })
    const { guard: made, closes } = guard(server, { stallTimeout: 2_000 })
    const client = new Client(await listen(server), undefined, false)
    await waitFor('the close', () => closes.length > 0 && closedAfter > 0)
    expect(closedAfter).toBeGreaterThanOrEqual(2_000)
    expect(closedAfter).toBeLessThan(3_500)
    const [info] = closes
    expect(info).toMatchObject({
      reason: 'stalled',
      scope: 'stream',
      url: '/events',
      remoteAddress: '127.0.0.1',
      remotePort: client.socket.localPort,
    })
    expect(info?.stalledFor).toBeGreaterThanOrEqual(2_000)
    expect(info?.openedFor).toBeGreaterThanOrEqual(2_000)
    expect(made.stats()).toMatchObject({ connections: 0, streams: 0, closed: { stalled: 1 } })
    // A FIN would have to wait behind the data, for as long as the client takes none of it.
    expect(statesOf(client.socket.remotePort)).not.toContain(FIN_WAIT1)
    client.socket.resume()
    await waitFor('the end', () => client.closed || client.ended)
    expect(closes.length).toBe(1)
  })

  const spared: [string, http.OutgoingHttpHeaders, number | false, boolean][] = [
    ['of another type', { 'content-type': 'application/octet-stream' }, 1_000, false],
    ['when it is off', SSE, false, false],
    ['whose client reads', SSE, 1_000, true],
  ]
  for (const [title, head, stallTimeout, read] of spared) {
    it(`leaves a response alone ${title}`, async () => {
      const server = http.createServer((_req, res) => fill(res.writeHead(200, head)))
      const { guard: made, closes } = guard(server, { stallTimeout })
      const client = new Client(await listen(server), undefined, read)
      await waitFor('the connection', () => made.stats().connections === 1)
      await delay(LONGER)
      expect([closes, client.closed]).toEqual([[], false])
    })
  }

  // Without the kernel's word, progress is what leaves Node: in steps of the kernel's buffer, which are megabytes.
  it.runIf(capabilities().addon)(
    'never ends a client that makes progress, however slow',
    async () => {
      const server = http.createServer((_req, res) => fill(res.writeHead(200, SSE)))
      const { closes } = guard(server, { stallTimeout: 1_000 })
      const client = new Client(await listen(server), undefined, false)
      // A window's worth now and then: TCP's own window only opens in such steps.
      const timer = setInterval(() => client.socket.read(), 300)
      await delay(LONGER)
      clearInterval(timer)
      expect(closes).toEqual([])
    },
  )

  it('judges the next response on a keep-alive connection anew', async () => {
    const served: ServerResponse[] = []
    const server = http.createServer((_req, res) => {
      served.push(res)
      if (served.length === 1) res.writeHead(200, SSE).end('data: 1\n\n')
      else fill(res.writeHead(200, { 'content-type': 'text/plain' }))
    })
    const { guard: made, closes } = guard(server, { stallTimeout: 1_000, maxAge: 1_000 })
    const client = new Client(await listen(server))
    await client.sees('data: 1')
    client.socket.pause()
    client.socket.write(GET)
    await waitFor('the second', () => served.length === 2)
    await delay(LONGER)
    expect(closes).toEqual([])
    expect(made.stats()).toMatchObject({ connections: 1, streams: 0 })
    expect(served[1]?.destroyed).toBe(false)
  })

  it('judges a stream that follows another response', async () => {
    let count = 0
    const server = http.createServer((_req, res) => {
      if (count++ === 0) res.end('one')
      else res.writeHead(200, SSE).write('data: 1\n\n')
    })
    const { guard: made, closes } = guard(server, { maxAge: 1_000 })
    const client = new Client(await listen(server))
    await client.sees('one')
    client.socket.write(GET)
    await client.sees('data: 1')
    expect(made.stats().streams).toBe(1)
    await waitFor('its close', () => closes.length > 0)
    expect(closes[0]).toMatchObject({ reason: 'expired', url: '/events' })
  })
})

describe('maxAge', () => {
  it('ends a stream of this library too, and the stream says so', async () => {
    const ends: Promise<CloseInfo>[] = []
    const server = http.createServer((req, res) => {
      ends.push(createEventStream(req, res).closed)
    })
    const { closes } = guard(server, { maxAge: 1_000 })
    const port = await listen(server)
    new Client(port)
    // With a request body that nobody reads, only this side is ended.
    new Client(port, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx')
    await waitFor('the streams', () => ends.length === 2)
    for (const end of ends) expect(await end).toMatchObject({ reason: 'expired', error: undefined })
    expect(closes.map(({ reason }) => reason)).toEqual(['expired', 'expired'])
  })

  it('closes a stream at that age, and what was sent before arrives', async () => {
    const server = http.createServer((_req, res) => {
      res.writeHead(200, SSE)
      const timer = setInterval(() => res.write('data: 1\n\n'), 50)
      res.on('close', () => clearInterval(timer))
    })
    const { closes, guard: made } = guard(server, { maxAge: 1_000 })
    const client = new Client(await listen(server))
    await waitFor('the close', () => client.closed || client.ended)
    expect(client.error).toBeUndefined()
    expect(client.received).toContain('data: 1')
    expect(closes).toMatchObject([{ reason: 'expired', scope: 'stream', verdict: 'alive' }])
    expect(closes[0]?.openedFor).toBeGreaterThanOrEqual(1_000)
    expect(closes[0]?.openedFor).toBeLessThan(2_000)
    expect(made.stats().closed.expired).toBe(1)
  })

  it('is not late on a connection that was quiet for long', async () => {
    const server = http.createServer((req, res) => {
      if (req.url === '/') res.end('plain')
      else res.writeHead(200, SSE).write('data: 1\n\n')
    })
    const { closes } = guard(server, { detectWithin: 30_000, maxAge: 1_000 })
    const client = new Client(await listen(server), 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await client.sees('plain')
    // The pace of looks at a connection on which all is well is 2.5 s by then.
    await delay(3_200)
    client.socket.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n')
    await waitFor('the close', () => closes.length > 0)
    expect(closes[0]?.openedFor).toBeLessThan(2_200)
  })

  it('leaves other responses alone', async () => {
    const server = http.createServer((_req, res) => void res.writeHead(200).write('slow'))
    const { closes } = guard(server, { maxAge: 1_000 })
    const client = new Client(await listen(server))
    await client.sees('slow')
    await delay(LONGER)
    expect([closes, client.ended]).toEqual([[], false])
  })
})

describe('filter', () => {
  it('decides in place of the content type, once for each response, when its head is there', async () => {
    const asked: [string | undefined, boolean, boolean][] = []
    const server = http.createServer((req, res) => {
      const type = req.url === '/log' ? 'text/plain' : 'text/event-stream'
      setTimeout(() => res.writeHead(200, { 'content-type': type }).write('line\n'), 300)
    })
    const { closes } = guard(server, {
      maxAge: 1_000,
      filter: (req, res, socket) => {
        const { url } = req as IncomingMessage
        asked.push([url, (res as ServerResponse).headersSent, socket instanceof net.Socket])
        return url === '/log'
      },
    })
    const port = await listen(server)
    const log = new Client(port, 'GET /log HTTP/1.1\r\nHost: x\r\n\r\n')
    const events = new Client(port)
    await Promise.all([log.sees('line'), events.sees('line')])
    await waitFor('the close', () => closes.length > 0)
    await delay(1_000)
    expect(closes.map(({ url }) => url)).toEqual(['/log'])
    expect(asked.sort()).toEqual([
      ['/events', true, true],
      ['/log', true, true],
    ])
    expect(events.ended).toBe(false)
  })

  it('may ask the guard for its figures', async () => {
    const server = http.createServer((_req, res) => void res.writeHead(200, SSE).write('data: 1'))
    let calls = 0
    const { guard: made } = guard(server, {
      filter: () => {
        calls += 1
        return made.stats().streams < 10
      },
    })
    await new Client(await listen(server)).sees('data')
    await waitFor('the judgement', () => made.stats().streams === 1)
    expect(calls).toBe(1)
  })

  it('takes connections of a net server for streams, with the socket alone', async () => {
    const asked: unknown[] = []
    const server = net.createServer((socket) => {
      socket.on('error', () => {}).resume()
      for (let i = 0; i < 8; i++) socket.write('x'.repeat(1_000_000))
    })
    const { closes } = guard(server, {
      stallTimeout: 1_000,
      filter: (req, res, socket) => {
        asked.push([req, res, socket instanceof net.Socket])
        return true
      },
    })
    new Client(await listen(server), 'hello', false)
    await waitFor('the close', () => closes.length > 0)
    expect(asked).toEqual([[undefined, undefined, true]])
    expect(closes[0]).toMatchObject({ reason: 'stalled', url: undefined })
  })
})

describe('what a callback throws', () => {
  /** Takes vitest's own handlers away meanwhile: the error is meant to get that far. */
  async function uncaught(until: () => boolean): Promise<unknown[]> {
    const errors: unknown[] = []
    const others = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => errors.push(error))
    try {
      await waitFor('the callbacks', () => until() && errors.length > 0)
    } finally {
      process.removeAllListeners('uncaughtException')
      for (const each of others) process.on('uncaughtException', each)
    }
    return errors
  }

  it('from onClose is an uncaught exception, and all other connections stay guarded', async () => {
    const server = http.createServer((_req, res) => fill(res.writeHead(200, SSE)))
    let calls = 0
    const { guard: made } = guard(server, {
      stallTimeout: 1_000,
      onClose: () => {
        calls += 1
        throw new Error('of the application’s')
      },
    })
    const port = await listen(server)
    for (let i = 0; i < 3; i++) new Client(port, undefined, false)
    const errors = await uncaught(() => calls === 3)
    expect(errors.length).toBe(3)
    expect(errors[0]).toMatchObject({ message: 'of the application’s' })
    await waitFor('the ends', () => made.stats().connections === 0)
    expect(made.stats().closed.stalled).toBe(3)
  })

  it('from filter is one too, and the response is left alone', async () => {
    const server = http.createServer((_req, res) => fill(res.writeHead(200, SSE)))
    const { guard: made, closes } = guard(server, {
      stallTimeout: 1_000,
      filter: () => {
        throw new Error('of the filter’s')
      },
    })
    new Client(await listen(server), undefined, false)
    const errors = await uncaught(() => made.stats().connections === 1)
    expect(errors).toMatchObject([{ message: 'of the filter’s' }])
    await delay(LONGER)
    expect(closes).toEqual([])
  })

  it('and a guard may be stopped from onClose', async () => {
    const server = http.createServer((_req, res) => fill(res.writeHead(200, SSE)))
    let calls = 0
    const { guard: made } = guard(server, {
      stallTimeout: 1_000,
      onClose: () => {
        calls += 1
        made.stop()
      },
    })
    const port = await listen(server)
    for (let i = 0; i < 3; i++) new Client(port, undefined, false)
    await waitFor('the first close', () => calls > 0)
    await delay(1_000)
    expect([calls, made.stats().connections]).toEqual([1, 0])
  })
})
