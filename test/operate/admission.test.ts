// A limit on streams, over node:http, node:http2 and Express: 503 and a stream that is closed from the start.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import http from 'node:http'
import http2 from 'node:http2'
import type { Server } from 'node:net'
import express from 'express'
import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { eventStream } from '../../src/adapters/express.js'
import { eventStream as honoEventStream } from '../../src/adapters/hono.js'
import {
  createAdmission,
  createEventStream,
  type DiagnosticsMessages,
  type EventStream,
  metrics,
} from '../../src/index.js'
import { jitter, secondsFrom } from '../../src/stream/admission.js'
import { cleanup, listen } from '../support/cleanup.js'
import { waitFor } from '../support/wait-for.js'

function get(port: number, agent: http.Agent | false = false): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const req = http.get({ port, host: '127.0.0.1', agent }, resolve)
    req.on('error', reject)
    cleanup.push(() => req.destroy())
  })
}

async function bodyOf(res: http.IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of res) body += chunk
  return body
}

describe('admission', () => {
  it('answers 503 in Hono, too, for any status of its context', async () => {
    const admission = createAdmission({ maxStreams: 0 })
    const app = new Hono()
    app.get('/events', (c) => {
      c.status(201)
      c.header('x-own', 'kept')
      return honoEventStream(c, { admission }).response
    })
    const refused = await app.request('/events')
    expect(refused.status).toBe(503)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(refused.headers.get('x-own')).toBe('kept')
  })

  it('has the place back when Hono cannot make the response', async () => {
    const admission = createAdmission({ maxStreams: 1 })
    const app = new Hono()
    app.onError((_, c) => c.text('failed', 500))
    app.get('/events', (c) => {
      c.status(204)
      return honoEventStream(c, { admission }).response
    })
    expect((await app.request('/events')).status).toBe(500)
    expect(admission.size).toBe(0)
  })

  it('answers 503 with Retry-After over node:http, and takes the next when one has gone', async () => {
    const admission = createAdmission({ maxStreams: 2, retryAfter: 3_000 })
    const streams: EventStream[] = []
    const headers = { 'Access-Control-Allow-Origin': '*', 'Content-Type': 'text/other' }
    const port = await listen(
      http.createServer((req, res) => {
        streams.push(createEventStream(req, res, { admission, headers }))
      }),
    )
    expect((await get(port)).statusCode).toBe(200)
    expect((await get(port)).statusCode).toBe(200)
    expect(admission.size).toBe(2)
    const refused = await get(port)
    expect(refused.statusCode).toBe(503)
    expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(3)
    expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(6)
    expect(refused.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-store',
      'access-control-allow-origin': '*',
    })
    expect(await bodyOf(refused)).toBe('There are too many event streams.\n')
    const closed = streams[2] as EventStream
    expect(closed.state).toBe('closed')
    expect(closed.send({ data: 'x' })).toBe('closed')
    expect(await closed.closed).toMatchObject({ reason: 'refused', bytesSent: 0, openedFor: 0 })
    expect(admission.size).toBe(2)
    await streams[0]?.close()
    expect(admission.size).toBe(1)
    expect((await get(port)).statusCode).toBe(200)
  })

  it('keeps the connection of a client that was turned away', async () => {
    const admission = createAdmission({ maxStreams: 0 })
    const port = await listen(
      http.createServer((req, res) => void createEventStream(req, res, { admission })),
    )
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    cleanup.push(() => agent.destroy())
    const ports: (number | undefined)[] = []
    for (let i = 0; i < 2; i++) {
      const res = await get(port, agent)
      ports.push(res.socket.localPort)
      await bodyOf(res)
      await new Promise(setImmediate)
    }
    expect(ports[0]).toBe(ports[1])
  })

  it('does not count a client that had left, and counts a refusal apart', async () => {
    const refusals: DiagnosticsMessages['tcp-sse:stream:refused'][] = []
    const listener = (message: unknown): void => void refusals.push(message as never)
    subscribe('tcp-sse:stream:refused', listener)
    cleanup.push(() => void unsubscribe('tcp-sse:stream:refused', listener))
    const admission = createAdmission({ maxStreams: 1 })
    const streams: EventStream[] = []
    const port = await listen(
      http.createServer((req, res) => {
        const signal = req.url === '/gone' ? AbortSignal.abort() : undefined
        streams.push(createEventStream(req, res, { admission, signal }))
      }),
    )
    await get(port).catch(() => {})
    const before = metrics()
    const res = await get(port)
    await bodyOf(res)
    const after = metrics()
    expect(after.refused - before.refused).toBe(1)
    expect(after.opened).toBe(before.opened)
    expect(after.closed).toEqual(before.closed)
    expect(refusals).toEqual([{ stream: streams[1], reason: 'refused' }])
    await streams[0]?.close()
    http.get({ port, host: '127.0.0.1', path: '/gone', agent: false }).on('error', () => {})
    await waitFor('the third', () => streams.length === 3)
    expect(streams[2]?.state).toBe('closed')
    expect(admission.size).toBe(0)
  })

  it('works behind the Express middleware, whose handler runs with a closed stream', async () => {
    const admission = createAdmission({ maxStreams: 1 })
    const app = express()
    const results: string[] = []
    app.get('/', eventStream({ admission }), (_req, res) => {
      results.push(res.eventStream.send({ data: 'hello' }))
    })
    const port = await listen(http.createServer(app))
    expect((await get(port)).statusCode).toBe(200)
    const refused = await get(port)
    expect(refused.statusCode).toBe(503)
    expect(refused.headers['retry-after']).toMatch(/^\d+$/)
    expect(await bodyOf(refused)).toMatch(/too many/)
    expect(results).toEqual(['sent', 'closed'])
  })

  it('works over HTTP/2, and leaves the connection to its other streams', async () => {
    const admission = createAdmission({ maxStreams: 1 })
    const port = await listen(
      http2.createServer((req, res) => {
        createEventStream(req, res, { admission }).send({ data: 'here' })
      }) as unknown as Server,
    )
    const session = http2.connect(`http://127.0.0.1:${port}`)
    cleanup.push(() => session.destroy())
    const status = (): Promise<[number | undefined, http2.ClientHttp2Stream]> =>
      new Promise((resolve) => {
        const stream = session.request({ ':path': '/' })
        stream.on('response', (headers) => resolve([headers[':status'], stream]))
      })
    const [first, stream] = await status()
    expect(first).toBe(200)
    expect((await status())[0]).toBe(503)
    let text = ''
    stream.on('data', (chunk) => {
      text += chunk
    })
    await waitFor('the event', () => text.includes('here'))
  })

  it('refuses what makes no sense', () => {
    expect(() => createAdmission({} as never)).toThrow(/maxStreams must be a number/)
    expect(() => createAdmission({ maxStreams: 1.5 })).toThrow(/whole number/)
    expect(() => createAdmission({ maxStreams: 1, retryAfter: 0 })).toThrow(/retryAfter/)
    expect(() => createAdmission({ maxStream: 1 } as never)).toThrow(/maxStreams/)
    expect(() => eventStream({ admission: { maxStreams: 1 } as never })).toThrow(
      /createAdmission\(\)/,
    )
  })
})

describe('the time that a client is asked to wait', () => {
  it.each([
    [0, 2_000, 2],
    [0.5, 3_000, 3],
    [1, 4_000, 4],
  ])('is the least of 2 s plus %d of it', (random, milliseconds, seconds) => {
    expect(jitter(2_000, random)).toBe(milliseconds)
    expect(secondsFrom(2_000, random)).toBe(seconds)
  })

  it('is a second at least, which is what the header knows', () => {
    expect(secondsFrom(0, 0)).toBe(1)
    expect(secondsFrom(10, 0)).toBe(1)
  })
})
