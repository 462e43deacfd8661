// Behind nginx with its defaults, and over Unix sockets.
import { mkdtempSync } from 'node:fs'
import http, { type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  capabilities,
  createEventStream,
  type EventStream,
  type EventStreamOptions,
} from '../../src/index.js'
import { delay } from '../support/delay.js'
import { type Nginx, nginxMissing, startNginx } from '../support/nginx.js'
import { connect } from '../support/protocol-client.js'
import { waitFor } from '../support/wait-for.js'

/** A server of ours on a port, or on a path in the file system. */
async function serve(where: 'port' | 'path') {
  const streams: EventStream[] = []
  let options: EventStreamOptions = {}
  const server = http.createServer((req, res) => {
    streams.push(createEventStream(req, res, options))
  })
  const path = join(mkdtempSync(join(tmpdir(), 'tcp-sse-')), 'socket')
  await new Promise<void>((resolve) => {
    if (where === 'port') server.listen(0, '127.0.0.1', resolve)
    else server.listen(path, resolve)
  })
  const address = server.address()
  return {
    path,
    upstream: typeof address === 'string' ? `unix:${path}:` : `127.0.0.1:${address?.port}`,
    use(next: EventStreamOptions) {
      options = next
    },
    next: () => waitFor('a stream', () => streams.shift()),
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

type Upstream = Awaited<ReturnType<typeof serve>>

/** Sends ten events, each when the one before has arrived. */
async function tenOfTen(stream: EventStream, text: () => string): Promise<void> {
  for (let id = 1; id <= 10; id++) {
    stream.send({ id, data: { n: id } })
    await waitFor(`event ${id}`, () => text().endsWith(`id: ${id}\ndata: {"n":${id}}\n\n`), 5_000)
  }
}

/** Loud where there is no nginx, and failing in CI. */
const missing = nginxMissing()
const skip = missing !== undefined && process.env.CI !== 'true'
if (skip) console.warn(`SKIPPED: behind nginx: ${missing}`)

describe.skipIf(skip).each(['port', 'path'] as const)('behind nginx, upstream a %s', (where) => {
  let upstream: Upstream
  let nginx: Nginx
  beforeAll(async () => {
    upstream = await serve(where)
    nginx = await startNginx(upstream.upstream)
  })
  afterAll(() => {
    nginx?.stop()
    upstream.close()
  })

  for (const protocol of ['http', 'https'] as const) {
    const port = (): number => (protocol === 'http' ? nginx.plain : nginx.tls)

    it(`${protocol}: 10 of 10 events arrive at once, with default buffering`, async () => {
      upstream.use({})
      const client = await connect(protocol, port())
      expect(client.headers['content-type']).toBe('text/event-stream; charset=utf-8')
      const stream = await upstream.next()
      await tenOfTen(stream, client.text)
      expect((await stream.close()).reason).toBe('ended')
      expect(await client.end).toBe('end')
    })

    it(`${protocol}: none does without X-Accel-Buffering, so that the test above means something`, async () => {
      upstream.use({ headers: { 'x-accel-buffering': 'yes' } })
      let head = false
      const connected = connect(protocol, port()).then((client) => {
        head = true
        return client
      })
      const stream = await upstream.next()
      for (let id = 1; id <= 10; id++) stream.send({ id, data: id })
      await delay(300)
      // Not even the head.
      expect(head).toBe(false)
      await stream.close()
      const client = await connected
      expect(await client.end).toBe('end')
      expect(client.text()).toContain('id: 10\n')
    })

    it(`${protocol}: a client that leaves is client-closed: nginx closes its own connection`, async () => {
      upstream.use({})
      const client = await connect(protocol, port())
      const stream = await upstream.next()
      await tenOfTen(stream, client.text)
      client.leave()
      expect((await stream.closed).reason).toBe('client-closed')
    })
  }

  it('the inspected connection is that of nginx', async () => {
    upstream.use({})
    const client = await connect('http', nginx.plain)
    const stream = await upstream.next()
    const kernel = where === 'port' ? 'ok' : 'partly'
    expect(stream.inspect()?.status).toBe(capabilities().addon ? kernel : 'unavailable')
    client.leave()
    await stream.closed
  })
})

describe('over a Unix socket', () => {
  let upstream: Upstream
  beforeAll(async () => {
    upstream = await serve('path')
  })
  afterAll(() => upstream.close())

  async function open() {
    const request = http.get({ socketPath: upstream.path, agent: false })
    const response = await new Promise<IncomingMessage>((resolve) =>
      request.once('response', resolve),
    )
    let received = ''
    response.on('data', (chunk) => {
      received += chunk
    })
    response.on('error', () => {})
    return { stream: await upstream.next(), response, text: () => received }
  }

  it('10 of 10 events arrive at once, and close() ends properly', async () => {
    const { stream, response, text } = await open()
    await tenOfTen(stream, text)
    const ended = new Promise((resolve) => response.once('end', resolve))
    expect((await stream.close()).reason).toBe('ended')
    await ended
  })

  it('has back-pressure, and then brings everything in order', async () => {
    upstream.use({ maxBufferedBytes: 50_000_000 })
    const { stream, response, text } = await open()
    response.pause()
    let sent = 0
    while (stream.send({ id: sent++, data: 'x'.repeat(10_000) }) === 'sent');
    const room = stream.writable()
    response.resume()
    expect(await room).toBe(true)
    await stream.close()
    await waitFor('the last event', () => text().includes(`id: ${sent - 1}\n`))
    expect([...text().matchAll(/^id: /gm)].length).toBe(sent)
  })

  it('a client that leaves is client-closed', async () => {
    const { stream, response } = await open()
    response.destroy()
    expect((await stream.closed).reason).toBe('client-closed')
  })

  it('there is no TCP to ask: no snapshot of it, delivery unknown, alive', async () => {
    const { stream, response } = await open()
    expect(stream.inspect()?.state).toBeUndefined()
    expect(stream.verdict).toBe('alive')
    expect(await stream.sendConfirmed({ data: 1 })).toBe('unknown')
    response.destroy()
    await stream.closed
  })
})
