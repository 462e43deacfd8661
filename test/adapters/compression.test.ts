// The `compression` middleware, which holds small writes back until its buffer is full or `flush` is called.
import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import http2 from 'node:http2'
import type { Duplex } from 'node:stream'
import zlib from 'node:zlib'
import compression from 'compression'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { eventStream } from '../../src/adapters/express.js'
import { capabilities, createEventStream, type EventStream } from '../../src/index.js'
import { hasNodesMethods } from '../../src/transport/fast/hooks.js'
import { cleanup } from '../support/cleanup.js'
import { listen, serverOf } from '../support/framework-servers.js'
import { connect } from '../support/protocol-client.js'
import { waitFor } from '../support/wait-for.js'

/** Our own `no-transform` keeps the middleware away; this is an application that wants compression. */
const TRANSFORM = { 'cache-control': 'no-cache' }

async function serve(headers = {}) {
  const streams: EventStream[] = []
  const responses: express.Response[] = []
  const app = express()
  app.use(compression())
  app.get('/', eventStream({ headers, maxBufferedBytes: 50_000_000 }), (_req, res) => {
    streams.push(res.eventStream)
    responses.push(res)
  })
  const { port, close } = await listen(serverOf('http', app))
  cleanup.push(close)
  return { port, streams, responses }
}

function unpack(response: NodeJS.ReadableStream, encoding: unknown): () => string {
  const decoders: Record<string, () => Duplex> = {
    gzip: () => zlib.createGunzip({ finishFlush: zlib.constants.Z_SYNC_FLUSH }),
    br: () => zlib.createBrotliDecompress(),
    deflate: () => zlib.createInflate(),
  }
  const decoder = decoders[String(encoding)]?.() as Duplex
  let text = ''
  decoder.on('data', (chunk) => {
    text += chunk
  })
  decoder.on('error', () => {})
  response.pipe(decoder)
  return () => text
}

describe('Express behind the compression middleware', () => {
  for (const encoding of ['gzip', 'br', 'deflate']) {
    it(`${encoding}: each event arrives before the next is sent, the fast path is off, delivery is unknown`, async () => {
      const { port, streams, responses } = await serve(TRANSFORM)
      const request = http.get({ port, agent: false, headers: { 'accept-encoding': encoding } })
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      cleanup.push(() => request.destroy())
      expect(response.headers['content-encoding']).toBe(encoding)
      const text = unpack(response, encoding)
      const stream = streams[0] as EventStream
      // What the fast path asks, which would put plain bytes between compressed ones.
      expect(hasNodesMethods(responses[0] as http.ServerResponse)).toBe(false)
      for (let id = 1; id <= 10; id++) {
        stream.send({ id, data: 'x' })
        await waitFor(`event ${id}`, () => text().endsWith(`id: ${id}\ndata: x\n\n`))
      }
      expect(stream.delivered()).toBeUndefined()
      expect(await stream.sendConfirmed({ data: 'y' })).toBe('unknown')
    })
  }

  it('has back-pressure: queued and no room while the client does not read, then all in order', async () => {
    const { port, streams } = await serve(TRANSFORM)
    const request = http.get({ port, agent: false, headers: { 'accept-encoding': 'gzip' } })
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    const stream = streams[0] as EventStream
    let sent = 0
    // Random, so that compression does not make it vanish.
    const data = (): string =>
      Buffer.from(crypto.getRandomValues(new Uint8Array(6_000))).toString('hex')
    const fill = (): void => {
      while (stream.send({ id: sent++, data: data() }) === 'sent');
    }
    fill()
    for (let room = true; room; ) {
      room = await Promise.race([
        stream.writable(),
        new Promise<false>((resolve) => setTimeout(resolve, 200, false)),
      ])
      if (room) fill()
    }
    const text = unpack(response, 'gzip')
    expect(await stream.writable()).toBe(true)
    expect((await stream.close()).reason).toBe('ended')
    const ids = (): number[] => [...text().matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))
    await waitFor('all', () => ids().length === sent)
    expect(ids()).toEqual(Array.from({ length: sent }, (_, id) => id))
  })

  it('leaves a stream alone by itself: no-transform, and delivery is known', async () => {
    const { port, streams } = await serve()
    const client = await connect('http', port, { 'accept-encoding': 'gzip' })
    expect(client.headers['content-encoding']).toBeUndefined()
    const stream = streams[0] as EventStream
    const outcome = await stream.sendConfirmed({ data: 'x' })
    expect(outcome).toBe(capabilities().addon ? 'delivered' : 'unknown')
    await waitFor('the event', () => client.text() === ':\n\ndata: x\n\n')
  })
})

describe('compression over HTTP/2', () => {
  it('compresses what its head says is compressed, and each event arrives at once', async () => {
    let stream: EventStream | undefined
    const compress = compression()
    const { port, close } = await listen(
      serverOf('http2', (req, res) => {
        compress(req as never, res as never, () => {
          stream = createEventStream(req, res, { headers: TRANSFORM })
        })
      }),
    )
    cleanup.push(close)
    const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
    cleanup.push(() => session.destroy())
    const request = session.request({ ':path': '/', 'accept-encoding': 'gzip' })
    const [head] = (await once(request, 'response')) as [http2.IncomingHttpHeaders]
    expect(head['content-encoding']).toBe('gzip')
    const text = unpack(request, 'gzip')
    for (let id = 1; id <= 3; id++) {
      stream?.send({ id, data: 'x' })
      await waitFor(`event ${id}`, () => text().endsWith(`id: ${id}\ndata: x\n\n`))
    }
  })
})
