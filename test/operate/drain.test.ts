// drain over real servers: who is ended, who is turned away, and what the client gets.
import { readFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { Server } from 'node:net'
import { Duplex } from 'node:stream'
import { describe, expect, it } from 'vitest'
import {
  capabilities,
  createChannel,
  createEventStream,
  drain,
  type EventStream,
} from '../../src/index.js'
import { liveStreams } from '../../src/stream/live-streams.js'
import { cleanup, listen } from '../support/cleanup.js'
import { fillUp, opener } from '../support/open-stream.js'
import { waitFor } from '../support/wait-for.js'

const pem = (name: string): Buffer =>
  readFileSync(new URL(`../support/tls/${name}.pem`, import.meta.url))

interface Scene {
  server: Server
  port: number
  streams: EventStream[]
}

async function serve(kind: 'http' | 'https' | 'http2'): Promise<Scene> {
  const streams: EventStream[] = []
  const onRequest = (req: http.IncomingMessage, res: http.ServerResponse): void => {
    streams.push(createEventStream(req, res))
  }
  const secrets = { key: pem('key'), cert: pem('cert') }
  const server =
    kind === 'http'
      ? http.createServer(onRequest)
      : kind === 'https'
        ? https.createServer(secrets, onRequest)
        : (http2.createSecureServer(secrets, onRequest as never) as unknown as Server)
  return { server, port: await listen(server), streams }
}

interface Answer {
  status: number | undefined
  headers: http.IncomingHttpHeaders
  text: () => string
  ended: () => boolean
}

async function ask(kind: 'http' | 'https' | 'http2', port: number): Promise<Answer> {
  let text = ''
  let ended = false
  const read = (body: NodeJS.ReadableStream): void => {
    body.on('data', (chunk) => {
      text += chunk
    })
    body.on('end', () => {
      ended = true
    })
    body.on('error', () => {})
  }
  const answer = { text: () => text, ended: () => ended }
  if (kind === 'http2') {
    const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
    session.on('error', () => {})
    cleanup.push(() => session.destroy())
    const stream = session.request({ ':path': '/' })
    const headers = await new Promise<http2.IncomingHttpHeaders & { ':status'?: number }>(
      (resolve) => stream.on('response', resolve),
    )
    read(stream)
    return { ...answer, status: headers[':status'], headers: headers as http.IncomingHttpHeaders }
  }
  const { get } = kind === 'http' ? http : https
  const res = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const options = { port, host: '127.0.0.1', agent: false as const, rejectUnauthorized: false }
    const req = get(options, resolve)
    req.on('error', reject)
    cleanup.push(() => req.destroy())
  })
  read(res)
  return { ...answer, status: res.statusCode, headers: res.headers }
}

const FAST = { spreadOver: 100, timeout: 5_000, retry: 3_000 }

describe.each(['http', 'https', 'http2'] as const)('drain of a %s server', (kind) => {
  it('ends its streams with their last words, leaves others alone, and turns new ones away', async () => {
    const scene = await serve(kind)
    const other = await serve(kind)
    const answers = [await ask(kind, scene.port), await ask(kind, scene.port)]
    await ask(kind, other.port)
    const result = drain(scene.server, { ...FAST, event: { event: 'bye', data: 'x' } })
    const refused = await ask(kind, scene.port)
    expect(refused.status).toBe(503)
    expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(3)
    expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(6)
    expect(refused.headers.connection).toBe(kind === 'http2' ? undefined : 'close')
    await waitFor("the refusal's text", () => refused.text() === 'The server is shutting down.\n')
    expect(await result).toMatchObject({ streams: 2, drained: 2, aborted: 0, left: 0 })
    for (const answer of answers) {
      await waitFor('the end', () => answer.ended())
      expect(answer.text()).toMatch(/^:\n\nretry: [3-6]\d\d\d\n\nevent: bye\ndata: x\n\n$/)
    }
    expect(await scene.streams[0]?.closed).toMatchObject({ reason: 'drained', error: undefined })
    expect(await scene.streams[2]?.closed).toMatchObject({ reason: 'drained', bytesSent: 0 })
    expect(other.streams[0]?.state).toBe('open')
    expect((await ask(kind, other.port)).status).toBe(200)
  })
})

describe('the connection of a stream that was drained', () => {
  it('ends with it when its HTTP/1 server goes, though the head has promised to keep it', async () => {
    const { open } = await opener(cleanup)
    const { stream, client, socket, received } = await open()
    let closed = false
    client.on('close', () => {
      closed = true
    })
    expect(received().toString()).not.toMatch(/connection: close/i)
    const { server } = socket as unknown as { server: Server }
    await drain(server, FAST)
    await waitFor('the close', () => closed)
    expect(received().toString()).toMatch(/\r\n0\r\n\r\n$/)
    expect((await stream.closed).reason).toBe('drained')
  })

  it('is kept when only the stream or its channel goes', async () => {
    const { open } = await opener(cleanup)
    const { stream, client, received } = await open()
    await drain(stream, FAST)
    await waitFor('the last chunk', () => received().toString().endsWith('\r\n0\r\n\r\n'))
    const again = await open({}, undefined, client)
    expect(again.stream.send({ data: 'on the same connection' })).toBe('sent')
  })

  it('is asked by GOAWAY over HTTP/2 to send its next requests elsewhere', async () => {
    const { server, port } = await serve('http2')
    const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
    cleanup.push(() => session.destroy())
    const events: string[] = []
    for (const event of ['goaway', 'close']) session.on(event, () => events.push(event))
    for (let i = 0; i < 2; i++) session.request({ ':path': '/' }).resume()
    await waitFor('the streams', () => [...liveStreams()].length === 2)
    expect(await drain(server, FAST)).toMatchObject({ streams: 2, drained: 2 })
    await waitFor('the end', () => events.includes('close'))
    expect(events).toContain('goaway')
  })
})

describe('drain', () => {
  it('ends one stream, which has everything acknowledged first', async () => {
    const { open } = await opener(cleanup)
    const { stream, client } = await open()
    client.pause()
    const ids = await fillUp(stream)
    const result = drain(stream)
    expect(stream.state).toBe('closing')
    client.resume()
    expect(await result).toMatchObject({ streams: 1, drained: 1 })
    const { reason, delivered, undelivered } = await stream.closed
    expect(reason).toBe('drained')
    // Without the addon nobody knows what was acknowledged.
    if (!capabilities().addon) return
    expect(delivered?.id).toBe(ids.at(-1))
    // What the client is told for its next connection is no event.
    expect(delivered?.events).toBe(ids.length)
    expect(undelivered).toMatchObject({ events: 0 })
  })

  it('ends the streams of a channel and those that subscribe from then on, and no others', async () => {
    const { open } = await opener(cleanup)
    const channel = createChannel()
    const inside = [await open(), await open()]
    const outside = await open()
    for (const { stream } of inside) channel.subscribe(stream)
    const result = drain(channel, FAST)
    const late = await open()
    expect(channel.subscribe(late.stream)).toEqual({ replay: 'closed', replayed: 0 })
    expect(await late.stream.closed).toMatchObject({ reason: 'drained' })
    await waitFor('its last words', () => /retry: \d{4}\n\n/.test(late.received().toString()))
    expect(await result).toMatchObject({ streams: 2, drained: 2 })
    expect(outside.stream.state).toBe('open')
    expect(channel.size).toBe(0)
  })

  it('continues the broadcasts of a channel to streams that are still open', async () => {
    const { open } = await opener(cleanup)
    const channel = createChannel()
    const all = [await open(), await open()]
    for (const { stream } of all) channel.subscribe(stream)
    const result = drain(channel, { ...FAST, spreadOver: 400 })
    expect(await channel.broadcast({ data: 'still there' })).toMatchObject({ sent: 1 })
    expect(await result).toMatchObject({ drained: 2 })
    expect(all.filter(({ received }) => received().includes('still there'))).toHaveLength(1)
  })

  it('cuts off at the end of its time who does not read', async () => {
    const { open } = await opener(cleanup)
    const { stream, client } = await open()
    client.pause()
    await fillUp(stream)
    const result = await drain(stream, { timeout: 500 })
    expect(result).toMatchObject({ streams: 1, drained: 0, aborted: 1 })
    expect(result.took).toBeGreaterThanOrEqual(490)
    expect(result.took).toBeLessThan(1_500)
  })

  it('finds streams without a socket only as part of everything', async () => {
    const server = http.createServer()
    let made: EventStream | undefined
    server.on('request', (req, res) => {
      made = createEventStream(req, res)
    })
    const carrier = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
    server.emit('connection', carrier)
    carrier.push('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    const stream = await waitFor('a stream', () => made)
    expect([...liveStreams()]).toContain(stream)
    stream.abort()
    expect([...liveStreams()]).not.toContain(stream)
  })

  it.each([
    [() => drain('everything' as never), 'ERR_NOT_DRAINABLE'],
    [() => drain({} as never), 'ERR_NOT_DRAINABLE'],
    [() => drain(undefined as never), 'ERR_NOT_DRAINABLE'],
    [() => drain('all', { spreadOver: 5_000, timeout: 1_000 }), 'ERR_OPTION_VALUE'],
    [() => drain('all', { retry: -1 }), 'ERR_OPTION_VALUE'],
    [() => drain('all', { event: { retry: 0.5 } }), 'ERR_EVENT_INVALID'],
    [() => drain('all', { spread: 1 } as never), 'ERR_OPTION_UNKNOWN'],
  ])('refuses %s without refusing any stream', async (call, code) => {
    await expect(call()).rejects.toThrow(expect.objectContaining({ code }))
    const { open } = await opener(cleanup)
    expect((await open()).stream.state).toBe('open')
  })
})
