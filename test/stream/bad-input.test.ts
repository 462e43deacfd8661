// What is wrong is refused where it was wrong, and nothing has happened.
import http from 'node:http'
import { Duplex } from 'node:stream'
import { describe, expect, it } from 'vitest'
import {
  acceptEcho,
  createChannel,
  createEventStream,
  type EventStreamOptions,
  encodeEvent,
  inspectSockets,
  wantsEventStream,
} from '../../src/index.js'
import { registerMetrics } from '../../src/observability/prometheus.js'
import { EncodedEvent } from '../../src/sse/encode.js'
import { cleanup, listen } from '../support/cleanup.js'
import { GET, opener } from '../support/open-stream.js'
import { waitFor } from '../support/wait-for.js'

describe('options', () => {
  const bad: [string, unknown, string][] = [
    ['a header name', { headers: { 'bad name': 'x' } }, 'ERR_OPTION_VALUE'],
    ['a header value', { headers: { 'x-ok': 'a\r\nb' } }, 'ERR_OPTION_VALUE'],
    ['a header without a value', { headers: { 'x-ok': undefined } }, 'ERR_OPTION_TYPE'],
    ['a header of null', { headers: { 'x-ok': null } }, 'ERR_OPTION_TYPE'],
    ['a header of an object', { headers: { 'x-ok': {} } }, 'ERR_OPTION_TYPE'],
    ['a header of half an array', { headers: { 'x-ok': ['a', undefined] } }, 'ERR_OPTION_TYPE'],
    ['an array with a bad value', { headers: { 'x-ok': ['a', 'b\nc'] } }, 'ERR_OPTION_VALUE'],
    ['a header twice', { headers: { 'X-Ok': 'a', 'x-ok': 'b' } }, 'ERR_OPTION_VALUE'],
    ['a length', { headers: { 'Content-Length': 5 } }, 'ERR_OPTION_VALUE'],
    ['a trailer', { headers: { Trailer: 'x-checksum' } }, 'ERR_OPTION_VALUE'],
    ['Headers', { headers: new Headers({ 'x-ok': 'a' }) }, 'ERR_OPTION_TYPE'],
    ['a Map', { headers: new Map([['x-ok', 'a']]) }, 'ERR_OPTION_TYPE'],
    ['headers', { headers: 'x' }, 'ERR_OPTION_TYPE'],
    ['padding', { padding: 3 }, 'ERR_OPTION_VALUE'],
    ['padding', { padding: 'much' }, 'ERR_OPTION_TYPE'],
    ['fastPath', { fastPath: 1 }, 'ERR_OPTION_TYPE'],
    ['streams of a connection', { maxStreamsPerConnection: 0 }, 'ERR_OPTION_VALUE'],
    ['streams of a connection', { maxStreamsPerConnection: true }, 'ERR_OPTION_TYPE'],
    // What a D may be: test/unit/plan.test.ts.
    ['a D too small to promise', { detectWithin: 1_000 }, 'ERR_DETECT_WITHIN_TOO_SMALL'],
    ['an unknown option', { detectwithin: 5_000 }, 'ERR_OPTION_UNKNOWN'],
    ['an unknown policy', { onOverflow: 'panic' }, 'ERR_OPTION_VALUE'],
    ['a signal that is none', { signal: { aborted: false } }, 'ERR_OPTION_TYPE'],
  ]
  for (const [what, options, code] of bad) {
    it(`refuses ${what}: ${JSON.stringify(options)}, and leaves the response untouched`, async () => {
      let names: string[] | undefined
      const server = http.createServer((req, res) => {
        expect(() => createEventStream(req, res, options as EventStreamOptions)).toThrow(
          expect.objectContaining({ code }),
        )
        names = res.getHeaderNames()
        res.end('other')
      })
      const port = await listen(server)
      const text = await (await fetch(`http://127.0.0.1:${port}/`)).text()
      expect([text, names]).toEqual(['other', []])
    })
  }
})

describe('error.option', () => {
  const wrong: [EventStreamOptions, string][] = [
    [{ detectWithin: 1_000 }, 'detectWithin'],
    [{ heartbeat: 5 }, 'heartbeat'],
    [{ heartbeat: 'no' as never }, 'heartbeat'],
    [{ retry: -1 }, 'retry'],
    [{ echo: { beat: 1 } }, 'echo.beat'],
    [{ rety: 5 } as never, 'rety'],
  ]
  for (const [options, option] of wrong) {
    it(`is the option as it was written: ${option}`, () => {
      expect(() => createEventStream({} as never, {} as never, options)).toThrow(
        expect.objectContaining({ option, message: expect.stringContaining(option) }),
      )
    })
  }
})

describe('arguments', () => {
  const calls: [string, () => unknown, string, string?][] = [
    ['a number for options', () => createChannel(5 as never), 'ERR_OPTION_TYPE'],
    ['a name for options', () => createChannel('news' as never), 'ERR_OPTION_TYPE'],
    ['null for options', () => createChannel(null as never), 'ERR_OPTION_TYPE'],
    ['a name without a hub', () => createChannel({ name: 'x' } as never), 'ERR_OPTION_TYPE', 'hub'],
    ['no registry', () => registerMetrics(undefined as never), 'ERR_OPTION_TYPE', 'registry'],
    ['another registry', () => registerMetrics({} as never), 'ERR_OPTION_TYPE', 'registry'],
    ['an index', () => encodeEvent({ data: 'x' }, 5 as never), 'ERR_OPTION_TYPE', 'serialize'],
    ['no request', () => wantsEventStream(undefined as never), 'ERR_NOT_A_REQUEST'],
    ['no headers', () => wantsEventStream({} as never), 'ERR_NOT_A_REQUEST'],
    [
      'one alternative',
      () => wantsEventStream({ headers: {} }, 'text/html' as never),
      'ERR_OPTION_TYPE',
      'alternatives',
    ],
    ['no array of sockets', () => inspectSockets(5 as never), 'ERR_NOT_A_SOCKET'],
    ['swapped arguments', () => createEventStream({} as never, {} as never), 'ERR_NOT_A_RESPONSE'],
  ]
  for (const [what, call, code, option] of calls) {
    it(`refuses ${what} with ${code}`, () => {
      const details = option === undefined ? {} : { option }
      expect(call).toThrow(expect.objectContaining({ code, ...details }))
    })
  }

  it('names what a mock lacks', () => {
    const mock = { on() {}, off() {}, write() {}, end() {} }
    expect(() => createEventStream({ headers: {} } as never, mock as never)).toThrow(
      /res has no flushHeaders, hasHeader, removeHeader, setHeader, writeHead/,
    )
  })

  it('takes a message that is no echo for a foreign one', () => {
    for (const message of [undefined, null, 'x', {}, { token: 5, lastEventId: '' }]) {
      expect(acceptEcho(message as never)).toBe('foreign')
    }
  })
})

describe('events', () => {
  it('refuses a key that is no string', async () => {
    const { stream } = await (await opener(cleanup)).open()
    expect(() => stream.send({ data: 1, key: 5 as never })).toThrow(
      expect.objectContaining({ code: 'ERR_EVENT_INVALID' }),
    )
    expect(stream.state).toBe('open')
  })

  it('refuses an encoded event of no bytes: as a chunk it would end the response', async () => {
    for (const bytes of [Buffer.alloc(0), new Uint8Array(3), 'x', undefined]) {
      expect(() => new EncodedEvent(bytes as never)).toThrow(
        expect.objectContaining({ code: 'ERR_EVENT_INVALID' }),
      )
    }
  })

  it('takes events that another copy of this library has encoded', async () => {
    const { bytes } = encodeEvent({ id: '1', data: 'x' })
    const ours = new EncodedEvent(bytes, '1')
    const [brand] = Object.getOwnPropertySymbols(EncodedEvent.prototype)
    expect(brand).toBe(Symbol.for('tcp-sse.EncodedEvent'))
    const foreign = Object.create(
      { [brand as symbol]: true },
      Object.getOwnPropertyDescriptors(ours),
    )
    expect(foreign).not.toBeInstanceOf(EncodedEvent)
    const { stream, received } = await (await opener(cleanup)).open()
    expect(stream.send(foreign)).toBe('sent')
    await waitFor('the event', () => received().includes('id: 1\ndata: x\n\n'))
  })

  it('says closed when the serializer itself ends the stream', async () => {
    const opened = await (await opener(cleanup)).open({
      serialize: () => {
        opened.stream.abort()
        return 'x'
      },
    })
    expect(opened.stream.send({ data: {} })).toBe('closed')
    expect((await opened.stream.closed).reason).toBe('aborted')
  })
})

describe('unusual carriers', () => {
  it('is not misled by properties that an application puts on request and response', async () => {
    const server = http.createServer((req, res) => {
      const marked = { stream: { close() {}, session: {} } }
      Object.assign(req, marked)
      Object.assign(res, marked)
      const stream = createEventStream(req, res)
      stream.send({ id: '1' })
      void stream.close()
    })
    const port = await listen(server)
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe(':\n\nid: 1\n\n')
  })

  it('works over a Duplex that is no socket', async () => {
    const server = http.createServer((req, res) => {
      const stream = createEventStream(req, res, { retry: 1 })
      expect(stream.send({ id: '1', data: 'x' })).toBe('sent')
      expect([stream.delivered(), stream.inspect()]).toEqual([undefined, undefined])
      void stream.close()
    })
    let text = ''
    const duplex = new Duplex({
      read() {},
      write(chunk, _encoding, callback) {
        text += chunk
        callback()
      },
    })
    server.emit('connection', duplex)
    duplex.push(GET)
    await waitFor('the response', () => text.endsWith('0\r\n\r\n'))
    expect(text).toContain('retry: 1\n\n')
    expect(text).toContain('id: 1\ndata: x\n\n')
  })

  it('ends a pipelined response whose turn never comes with its connection', async () => {
    const { open } = await opener(cleanup)
    const first = await open({ detectWithin: 4_000 })
    const second = await open({ detectWithin: 4_000 }, GET, first.client)
    first.client.destroy()
    expect((await first.stream.closed).reason).toMatch(/^client-/)
    const { reason } = await second.stream.closed
    expect(['client-closed', 'client-reset']).toContain(reason)
    expect(await second.stream.writable()).toBe(false)
  })
})
