// What a client on loopback can do, with no privileges at all.
import http from 'node:http'
import { type CloseInfo, createEventStream, type EventStream } from 'tcp-sse'
import { connectClient, type LoopbackClient } from 'tcp-sse/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { listenOn } from '../support/ports.js'
import { waitFor } from '../support/wait-for.js'

describe('a client on loopback', () => {
  let server: http.Server
  let url: string
  let stream: EventStream
  const clients: LoopbackClient[] = []

  beforeEach(async () => {
    server = http.createServer((req, res) => {
      stream = createEventStream(req, res, { detectWithin: 4_000, stallTimeout: 1_000 })
      stream.send({ id: req.url, data: req.headers['x-who'] ?? 'nobody' })
    })
    url = `http://127.0.0.1:${await listenOn(server)}`
  })
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.close()
    server.closeAllConnections()
    server.close()
  })

  async function connected(path = '/', options = {}): Promise<LoopbackClient> {
    const client = await connectClient(url + path, options)
    clients.push(client)
    await waitFor('the first event', async () => (await client.received()).ids.length > 0)
    return client
  }

  /** Sends until there is no room left. */
  function fill(): NodeJS.Timeout {
    return setInterval(() => {
      while (stream.state === 'open' && stream.buffered().pending === 0) {
        stream.send({ data: 'x'.repeat(16_000) })
      }
    }, 5)
  }

  it('sends the given request and headers, and records ids and text', async () => {
    const client = await connected('/a?b=1', { headers: { 'x-who': 'me' } })
    const { ids, text, ended } = await client.received()
    expect(ids).toEqual(['/a?b=1'])
    expect(text).toMatch(/^HTTP\/1.1 200 OK\r\n/)
    expect(text).toContain('data: me')
    expect(ended).toBe(false)
  })

  const wrong: [object, string, string][] = [
    [{ raed: 'never' }, 'ERR_OPTION_UNKNOWN', 'raed'],
    [{ read: 'some' }, 'ERR_OPTION_TYPE', 'read'],
    [{ read: { bytes: 65_537, everyMs: 3 } }, 'ERR_OPTION_VALUE', 'read.bytes'],
    [{ read: { bytes: 5 } }, 'ERR_OPTION_TYPE', 'read.everyMs'],
    [{ body: 'x' }, 'ERR_OPTION_TYPE', 'body'],
    [{ path: 'events' }, 'ERR_OPTION_TYPE', 'path'],
    [{ headers: 'x' }, 'ERR_OPTION_TYPE', 'headers'],
  ]
  for (const [options, code, option] of wrong) {
    it(`refuses ${JSON.stringify(options)}`, async () => {
      await expect(connectClient(url, options)).rejects.toMatchObject({ code, option })
    })
  }

  it('refuses another way of reading', async () => {
    const client = await connected()
    await expect(client.read('some' as never)).rejects.toMatchObject({ code: 'ERR_OPTION_TYPE' })
  })

  const closings: [string, (client: LoopbackClient) => Promise<void>, CloseInfo['reason']][] = [
    ['closes', (client) => client.close(), 'client-closed'],
    ['half-closes', (client) => client.halfClose(), 'client-closed'],
    ['resets', (client) => client.reset(), 'client-reset'],
  ]
  for (const [title, act, reason] of closings) {
    it(`${title}, and the stream says ${reason}`, async () => {
      await act(await connected())
      expect((await stream.closed).reason).toBe(reason)
    })
  }

  for (const act of ['stall', 'vanish'] as const) {
    it(`after ${act}(), the stream says stalled once the window is full`, async () => {
      const client = await connected()
      await client[act]()
      const timer = fill()
      expect((await stream.closed).reason).toBe('stalled')
      clearInterval(timer)
    })
  }

  it('reads on after a stall', async () => {
    const client = await connected()
    await client.stall()
    stream.send({ id: 'late', data: 'x' })
    expect(await stream.sendConfirmed({ id: 'later', data: 'x' })).not.toBe('undelivered')
    expect((await client.received()).ids).not.toContain('later')
    await client.read('all')
    await waitFor('the event', async () => (await client.received()).ids.includes('later'))
  })

  it('connects to this machine only', async () => {
    for (const elsewhere of [
      'http://192.0.2.1/',
      'ftp://127.0.0.1/',
      'nonsense',
      'http://x.test/',
    ]) {
      await expect(connectClient(elsewhere)).rejects.toMatchObject({ code: 'ERR_OPTION_VALUE' })
    }
  })
})
