// Events past Node's streams: the same bytes in the same order, whatever else happens to the response.
import http from 'node:http'
import net from 'node:net'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  applySocketOptions,
  capabilities,
  createChannel,
  createEventStream,
  type EventStream,
  type EventStreamOptions,
} from '../../src/index.js'
import { addon } from '../../src/native/binding.js'
import { idsOf, parseChunked } from '../support/chunked.js'
import { cleanup, listen, undoAll } from '../support/cleanup.js'
import { waitFor } from '../support/wait-for.js'

afterEach(() => {
  vi.restoreAllMocks()
})

interface Pair {
  readonly stream: EventStream
  readonly res: http.ServerResponse
  readonly client: net.Socket
  received(): Buffer
}

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'

/** A server that hands out its streams, and raw clients of it. */
async function serve(
  options: EventStreamOptions,
  before?: (res: http.ServerResponse) => void,
): Promise<(request?: string) => Promise<Pair>> {
  const waiting: ((made: { stream: EventStream; res: http.ServerResponse }) => void)[] = []
  const server = http.createServer((req, res) => {
    before?.(res)
    waiting.shift()?.({ stream: createEventStream(req, res, options), res })
  })
  const port = await listen(server)
  return async (request = REQUEST) => {
    const made = new Promise<{ stream: EventStream; res: http.ServerResponse }>((resolve) =>
      waiting.push(resolve),
    )
    const client = net.connect(port, '127.0.0.1')
    const chunks: Buffer[] = []
    client.on('data', (chunk) => chunks.push(chunk))
    client.on('error', () => {})
    client.write(request)
    cleanup.push(() => client.destroy())
    return { ...(await made), client, received: () => Buffer.concat(chunks) }
  }
}

const event = (id: string | number, size = 1): { id: string | number; data: string } => ({
  id,
  data: 'x'.repeat(size),
})

/** A client's side: everything parses, and the ids are these. */
async function sees({ received }: Pair, ids: string[], complete = false): Promise<void> {
  await waitFor('the events', () => {
    const parsed = parseChunked(received())
    return idsOf(parsed.body).length >= ids.length && parsed.complete === complete
  })
  expect(idsOf(parseChunked(received()).body)).toEqual(ids)
}

describe.runIf(capabilities().addon && process.env.TCP_SSE_NO_FAST_PATH !== '1')(
  'the fast path',
  () => {
    it('sends what several streams get in a tick with one call, each stream its own in order', async () => {
      const open = await serve({})
      const pairs = [await open(), await open(), await open()]
      const calls = vi.spyOn(addon as NonNullable<typeof addon>, 'sendMany')
      for (let id = 0; id < 5; id++) for (const { stream } of pairs) stream.send(event(id))
      for (const pair of pairs) await sees(pair, ['0', '1', '2', '3', '4'])
      expect(calls.mock.calls.length).toBe(1)
      expect(calls.mock.results[0]?.value).toBe(0)
    })

    it('learns within a tick that the client is behind', async () => {
      const open = await serve({ maxBufferedBytes: 10_000, onOverflow: 'drop-newest' })
      const { stream, client } = await open()
      client.pause()
      let taken = 0
      while (stream.send(event(taken, 1_000)) === 'sent') taken += 1
      // What the kernels take; without a look before the tick's end it would be a whole slab, a thousand of them.
      expect(taken).toBeGreaterThan(10)
      expect(taken).toBeLessThan(600)
    })

    const ordinary: [string, EventStreamOptions, string, (res: http.ServerResponse) => void][] = [
      ['by its option', { fastPath: false }, REQUEST, () => {}],
      [
        'behind a wrapped write',
        {},
        REQUEST,
        (res) => {
          const { write } = res
          res.write = function (this: http.ServerResponse, ...args: unknown[]) {
            return write.apply(this, args as never)
          }
        },
      ],
    ]
    for (const [title, options, request, before] of ordinary) {
      it(`is not taken ${title}`, async () => {
        const open = await serve(options, before)
        const pair = await open(request)
        const calls = vi.spyOn(addon as NonNullable<typeof addon>, 'sendMany')
        pair.stream.send(event(1))
        await sees(pair, ['1'])
        expect(calls.mock.calls.length).toBe(0)
      })
    }

    it('is left as soon as somebody wraps write', async () => {
      const open = await serve({})
      const pair = await open()
      pair.stream.send(event(1))
      const { res } = pair
      const inner = res.write
      let wrapped = 0
      res.write = function (this: http.ServerResponse, ...args: unknown[]) {
        wrapped += 1
        return inner.apply(this, args as never)
      }
      pair.stream.send(event(2))
      await sees(pair, ['1', '2'])
      expect(wrapped).toBe(1)
    })

    it('gives a destroyed socket nothing, and its error is the close reason', async () => {
      const open = await serve({})
      const gone = await open()
      const there = await open()
      gone.client.resetAndDestroy()
      // Sent in the same tick, before Node can have noticed.
      gone.stream.send(event(1))
      there.stream.send(event(1))
      await sees(there, ['1'])
      await waitFor('the end', () => {
        gone.stream.send(event(2))
        return gone.stream.state === 'closed'
      })
      expect((await gone.stream.closed).reason).toBe('client-reset')
    })
  },
)

describe.each([
  ['fast', true],
  ['ordinary', false],
])('the bytes of a stream, %s path', (_name, fastPath) => {
  it('are a proper response with close() in the same tick', async () => {
    const pair = await (await serve({ fastPath }))()
    for (let id = 0; id < 3; id++) pair.stream.send(event(id))
    const closed = pair.stream.close()
    await sees(pair, ['0', '1', '2'], true)
    expect(await closed).toMatchObject({ reason: 'ended' })
    expect(parseChunked(pair.received()).rest.length).toBe(0)
  })

  it("keep their place among the application's own writes, and before its end", async () => {
    const pair = await (await serve({ fastPath }))()
    pair.stream.send(event('a'))
    pair.res.write('id: own\ndata: 1\n\n')
    pair.stream.send(event('b'))
    pair.stream.send(event('c'))
    pair.res.end('id: last\ndata: 1\n\n')
    expect(pair.stream.send(event('d'))).toBe('closed')
    await sees(pair, ['a', 'own', 'b', 'c', 'last'], true)
  })

  it('have no framing over HTTP/1.0', async () => {
    const pair = await (await serve({ fastPath }))('GET / HTTP/1.0\r\n\r\n')
    pair.stream.send(event(1))
    pair.stream.send(event(2))
    await pair.stream.close()
    await waitFor('the end', () => pair.received().includes('id: 2\ndata: x\n\n'))
    const [, body] = pair.received().toString().split('\r\n\r\n')
    expect(body).toBe(':\n\nid: 1\ndata: x\n\nid: 2\ndata: x\n\n')
  })

  it('come whole to a client that reads later, through short writes', async () => {
    const pair = await (await serve({ fastPath }))()
    applySocketOptions(pair.res.socket as net.Socket, { sendBuffer: 4_096 })
    pair.client.pause()
    const ids = Array.from({ length: 500 }, (_, index) => String(index))
    const results = new Set(ids.map((id) => pair.stream.send(event(id, 700))))
    expect(results).toEqual(new Set(['sent', 'queued']))
    const closed = pair.stream.close()
    pair.client.resume()
    await sees(pair, ids, true)
    expect(await closed).toMatchObject({ reason: 'ended' })
    if (capabilities().addon) {
      expect(await closed).toMatchObject({
        delivered: { id: '499', events: 500 },
        undelivered: { ids: [], events: 0 },
      })
    }
  })

  it('any mix of events, broadcasts, readers, and ends: what arrives is in order and complete but for what was dropped', async () => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          kind: fc.constant('send' as const),
          who: fc.nat(3),
          size: fc.oneof(fc.nat(300), fc.nat(60_000)),
        }),
      },
      {
        weight: 6,
        arbitrary: fc.record({ kind: fc.constant('broadcast' as const), size: fc.nat(3_000) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('comment' as const), who: fc.nat(3) }),
      },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('pause' as const), who: fc.nat(3) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('resume' as const), who: fc.nat(3) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset' as const), who: fc.nat(3) }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
    )
    const policy = fc.constantFrom('drop-oldest' as const, 'drop-newest' as const, 'close' as const)
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), policy, async (steps, onOverflow) => {
        const open = await serve({ fastPath, onOverflow, maxBufferedBytes: 50_000 })
        const pairs: Pair[] = []
        for (let i = 0; i < 4; i++) pairs.push(await open())
        for (const { res } of pairs)
          applySocketOptions(res.socket as net.Socket, { sendBuffer: 4_096 })
        const channel = createChannel()
        for (const { stream } of pairs) channel.subscribe(stream)
        const sent = pairs.map(() => [] as string[])
        const dead = new Set<number>()
        for (const [index, each] of steps.entries()) {
          const id = String(index)
          if (each.kind === 'send') {
            const result = pairs[each.who]?.stream.send(event(id, each.size))
            if (result !== 'closed') sent[each.who]?.push(id)
          } else if (each.kind === 'broadcast') {
            pairs.forEach(({ stream }, who) => {
              if (stream.state === 'open') sent[who]?.push(id)
            })
            await channel.broadcast(event(id, each.size))
          } else if (each.kind === 'comment') pairs[each.who]?.stream.comment('between')
          else if (each.kind === 'pause') pairs[each.who]?.client.pause()
          else if (each.kind === 'resume') pairs[each.who]?.client.resume()
          else if (each.kind === 'reset') {
            dead.add(each.who)
            pairs[each.who]?.client.resetAndDestroy()
          } else await new Promise(setImmediate)
        }
        for (const { client } of pairs) client.resume()
        for (const [who, pair] of pairs.entries()) {
          const info = await pair.stream.close()
          if (info.reason === 'ended' && !dead.has(who)) {
            await waitFor('the whole response', () => parseChunked(pair.received()).complete)
          }
          const { body } = parseChunked(pair.received())
          const got = idsOf(body)
          let from = 0
          for (const id of got) {
            from = (sent[who] as string[]).indexOf(id, from) + 1
            expect(from, `${id} in its order`).toBeGreaterThan(0)
          }
          if (info.reason === 'ended' && !dead.has(who)) {
            expect(got.length + info.dropped.events).toBe(sent[who]?.length)
            expect(info.bytesSent).toBe(Buffer.byteLength(body) - ':\n\n'.length)
            if (capabilities().addon) {
              expect(info.delivered).toMatchObject({ events: got.length, id: got.at(-1) })
              expect(info.undelivered).toMatchObject({ events: 0, ids: [] })
            }
          } else expect(dead.has(who) || info.reason === 'overflow').toBe(true)
        }
        undoAll()
      }),
      { numRuns: 60 },
    )
  }, 180_000)
})
