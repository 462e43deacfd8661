// One list of checks over all servers and protocols. docs/compatibility.md is written from the titles and results here.
import { describe, expect, it } from 'vitest'
import {
  createChannel,
  type EventStream,
  type EventStreamOptions,
  MemoryHistory,
} from '../../src/index.js'
import { cleanup } from '../support/cleanup.js'
import { type Framework, frameworks, type Protocol } from '../support/framework-servers.js'
import { fillUp } from '../support/open-stream.js'
import { connect, type ProtocolClient } from '../support/protocol-client.js'
import { waitFor } from '../support/wait-for.js'

/** A stream of a server, and its client. */
interface Pair {
  readonly stream: EventStream
  readonly client: ProtocolClient
}

type Open = (options?: EventStreamOptions, headers?: Record<string, string>) => Promise<Pair>

const checks: Record<string, (open: Open, protocol: Protocol) => Promise<void>> = {
  async head(open, protocol) {
    const { client } = await open()
    expect(client.status).toBe(200)
    expect(client.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    })
    if (protocol === 'http2') expect(client.headers.connection).toBeUndefined()
  },

  async events(open) {
    const { stream, client } = await open()
    for (let id = 1; id <= 5; id++) {
      expect(stream.send({ id, event: 'tick', data: { n: id } })).toBe('sent')
      const event = `event: tick\nid: ${id}\ndata: {"n":${id}}\n\n`
      await waitFor(`event ${id}`, () => client.text().endsWith(event))
    }
  },

  async resume(open) {
    const news = createChannel({ history: new MemoryHistory() })
    for (const id of ['1', '2', '3']) await news.broadcast({ id, data: id })
    const { stream, client } = await open({}, { 'Last-Event-ID': '1' })
    expect(stream.lastEventId).toBe('1')
    news.subscribe(stream)
    await news.broadcast({ id: '4', data: '4' })
    await waitFor('the last event', () => client.text().includes('data: 4\n\n'))
    expect(idsIn(client)).toEqual(['2', '3', '4'])
  },

  async 'back-pressure'(open) {
    const { stream, client } = await open({ maxBufferedBytes: 50_000_000 })
    client.pause()
    // Sends until `queued`, until no room comes by itself: then `writable()` was pending.
    const ids = await fillUp(stream)
    expect(stream.send({ id: 'last', data: 'x' })).toBe('queued')
    const room = stream.writable()
    client.resume()
    expect(await room).toBe(true)
    await waitFor('the last event', () => client.text().includes('id: last\n'))
    expect(idsIn(client)).toEqual([...ids, 'last'])
  },

  async 'client gone'(open) {
    const { stream, client } = await open()
    stream.send({ data: 'hello' })
    await waitFor('the event', () => client.text().includes('hello'))
    client.leave()
    expect(await stream.closed).toMatchObject({ reason: 'client-closed', error: undefined })
    expect(stream.send({ data: 'more' })).toBe('closed')
  },

  async 'close reason'(open) {
    const { stream, client } = await open()
    const error = new Error('enough')
    stream.abort(error)
    expect(await stream.closed).toMatchObject({ reason: 'aborted', error })
    expect(await client.end).toBe('cut')
  },

  async drain(open) {
    const { stream, client } = await open({ maxBufferedBytes: 50_000_000 })
    client.pause()
    const ids = Array.from({ length: 1_000 }, (_, index) => String(index))
    for (const id of ids) stream.send({ id, data: 'x'.repeat(10_000) })
    const closed = stream.close()
    expect(stream.send({ data: 'too late' })).toBe('closed')
    client.resume()
    expect(await closed).toMatchObject({ reason: 'ended', error: undefined })
    expect(await client.end).toBe('end')
    expect(idsIn(client)).toEqual(ids)
  },
}

const idsIn = (client: ProtocolClient): string[] =>
  [...client.text().matchAll(/^id: (.*)$/gm)].map(([, id = '']) => id)

/** Serves, connects one client, and waits for its stream. */
function openerFor(framework: Framework, protocol: Protocol): Open {
  return async (options = {}, headers = {}) => {
    let stream: EventStream | undefined
    const { port, close } = await framework.serve(protocol, options, (opened) => {
      stream = opened
    })
    cleanup.push(close)
    const client = await connect(protocol, port, headers)
    cleanup.push(client.leave)
    return { stream: await waitFor('the stream', () => stream), client }
  }
}

for (const framework of frameworks) {
  for (const protocol of framework.protocols) {
    describe(`${framework.name} | ${protocol}`, () => {
      for (const [title, check] of Object.entries(checks)) {
        it(title, () => check(openerFor(framework, protocol), protocol))
      }
    })
  }
}
