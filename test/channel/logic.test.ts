// Channels over streams into memory: who gets what, in which order.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Channel, createChannel, MemoryHistory } from '../../src/index.js'
import type { EventStream } from '../../src/stream/event-stream.js'
import type { LiveStream } from '../../src/stream/live-stream.js'
import { dispatchedIdsOf, idsOf } from '../support/chunked.js'
import { type Client, client, slowDown, withClients } from '../support/memory-clients.js'

describe('Channel', () => {
  it('sends to all subscribers, encodes once, and counts', async () => {
    let encoded = 0
    const [channel, clients] = withClients(3, { serialize: (data) => `${++encoded}:${data}` })
    expect(await channel.broadcast({ id: 'a', data: 5 })).toEqual({
      sent: 3,
      queued: 0,
      dropped: 0,
      closed: 0,
    })
    expect(clients.map(({ transport }) => transport.text)).toEqual(
      Array(3).fill('id: a\ndata: 1:5\n\n'),
    )
    expect([encoded, channel.size]).toEqual([1, 3])
  })

  it('leaves out by filter and except', async () => {
    const [channel, clients] = withClients(4)
    const [a, b, c, d] = clients.map(({ stream }) => stream) as [
      LiveStream,
      LiveStream,
      LiveStream,
      LiveStream,
    ]
    expect((await channel.broadcast({ data: 1 }, { except: a })).sent).toBe(3)
    expect((await channel.broadcast({ data: 1 }, { except: [a, b] })).sent).toBe(2)
    expect((await channel.broadcast({ data: 1 }, { filter: (stream) => stream === d })).sent).toBe(
      1,
    )
    channel.unsubscribe(c)
    channel.subscribe(c, { filter: ({ id }) => id === 'for-c' })
    expect((await channel.broadcast({ id: 'x', data: 1 })).sent).toBe(3)
    expect((await channel.broadcast({ id: 'for-c', data: 1 })).sent).toBe(4)
  })

  it('a stream leaves by itself when it ends, and one that has ended does not come in', async () => {
    const [channel, [one, two]] = withClients(2) as [Channel, [Client, Client]]
    one.transport.leave()
    expect(channel.size).toBe(1)
    expect(channel.subscribe(one.stream)).toEqual({ replay: 'closed', replayed: 0 })
    two.transport.writable = false
    expect(await channel.broadcast({ data: 1 })).toMatchObject({ closed: 1, sent: 0 })
  })

  it('a slow subscriber does not delay the others, and what it cannot take is counted', async () => {
    const channel = createChannel()
    const slow = client('', { maxBufferedEvents: 1, onOverflow: 'drop-newest' })
    const quick = client()
    for (const { stream } of [slow, quick]) channel.subscribe(stream)
    slow.transport.room = 1
    const tallies = []
    for (let i = 0; i < 3; i++) tallies.push(await channel.broadcast({ id: i, data: 1 }))
    expect(tallies).toMatchObject([
      { sent: 1, queued: 1, dropped: 0 },
      { sent: 1, queued: 1, dropped: 0 },
      { sent: 1, queued: 0, dropped: 1 },
    ])
    expect(idsOf(quick.transport.text)).toEqual(['0', '1', '2'])
    slow.transport.drain(10)
    expect(idsOf(slow.transport.text)).toEqual(['0', '1'])
  })

  it('one whose filter throws is closed with error; a broadcast whose filter throws says so', async () => {
    const [channel, clients] = withClients(2)
    const bad = client()
    const problem = new Error('bug')
    channel.subscribe(bad.stream, {
      filter: () => {
        throw problem
      },
    })
    expect((await channel.broadcast({ data: 1 })).sent).toBe(2)
    expect(await bad.stream.closed).toMatchObject({ reason: 'error', error: problem })
    const filter = (stream: EventStream): boolean => {
      if (stream === clients[0]?.stream) throw problem
      return true
    }
    await expect(channel.broadcast({ id: 'y', data: 2 }, { filter })).rejects.toBe(problem)
    expect(idsOf(`${clients[1]?.transport.text}`.slice('data: 1\n\n'.length))).toEqual(['y'])
  })

  it('refuses what is wrong at the call, and sends nothing', async () => {
    const [channel, [one]] = withClients(1) as [Channel, [Client]]
    const code = (expected: string): unknown => expect.objectContaining({ code: expected })
    expect(() => channel.subscribe(one.stream)).toThrow(code('ERR_SUBSCRIBED'))
    expect(() => channel.subscribe({} as never)).toThrow(code('ERR_NOT_A_STREAM'))
    await expect(channel.broadcast({ id: 'a\nb' })).rejects.toThrow(code('ERR_EVENT_INVALID'))
    await expect(channel.broadcast({ data: 1 }, { excep: one } as never)).rejects.toThrow(
      code('ERR_OPTION_UNKNOWN'),
    )
    expect(() => createChannel({ history: { append: 1 } as never })).toThrow(
      code('ERR_OPTION_TYPE'),
    )
    expect(one.transport.text).toBe('')
    await channel.close()
    expect(one.stream.state).toBe('closed')
    await expect(channel.broadcast({ data: 1 })).rejects.toThrow(code('ERR_CHANNEL_CLOSED'))
    expect(() => channel.subscribe(client().stream)).toThrow(code('ERR_CHANNEL_CLOSED'))
  })

  it('iterates over its subscribers, without those that leave during the iteration', async () => {
    const [channel, clients] = withClients(600)
    const seen: EventStream[] = []
    for await (const stream of channel) {
      if (seen.length === 0) clients[599]?.transport.leave()
      seen.push(stream)
    }
    expect(seen).toEqual(clients.slice(0, 599).map(({ stream }) => stream))
  })

  it('gives the event loop its turn, and keeps the order of broadcasts', async () => {
    const [channel, clients] = withClients(3_000, { sliceBudget: 1 })
    slowDown(clients[1_500] as Client)
    let turns = 0
    const count = (): void => {
      turns += 1
      immediate = setImmediate(count)
    }
    let immediate = setImmediate(count)
    const tallies = await Promise.all(
      [1, 2, 3, 4].map((id) => channel.broadcast({ id, data: 'x' })),
    )
    clearImmediate(immediate)
    expect(tallies.map(({ sent }) => sent)).toEqual([3_000, 3_000, 3_000, 3_000])
    expect(turns).toBeGreaterThan(2)
    for (const { transport } of clients) expect(idsOf(transport.text)).toEqual(['1', '2', '3', '4'])
  })

  it('who comes during a broadcast gets the next one', async () => {
    const [channel, clients] = withClients(3_000, { sliceBudget: 1 })
    slowDown(clients[1_500] as Client)
    const first = channel.broadcast({ id: 1, data: 'x' })
    const late = client()
    channel.subscribe(late.stream)
    const second = channel.broadcast({ id: 2, data: 'x' })
    expect([(await first).sent, (await second).sent]).toEqual([3_000, 3_001])
    expect(idsOf(late.transport.text)).toEqual(['2'])
  })
})

describe('resume', () => {
  it('replays what was missed, then goes on live', async () => {
    const [channel] = withClients(0, { history: new MemoryHistory({ maxEvents: 3 }) })
    for (let id = 1; id <= 5; id++) await channel.broadcast({ id, data: 'x' })
    const cases: [string, string, string[]][] = [
      ['4', 'complete', ['5']],
      ['5', 'complete', []],
      ['1', 'partial', ['3', '4', '5']],
      ['nobody', 'unknown', []],
      ['', 'complete', []],
    ]
    const back = cases.map(([lastEventId]) => client(lastEventId))
    for (const [index, [, replay, ids]] of cases.entries()) {
      const { stream } = back[index] as Client
      expect(channel.subscribe(stream)).toEqual({ replay, replayed: ids.length })
    }
    await channel.broadcast({ id: 6, data: 'x' })
    for (const [index, [, , ids]] of cases.entries()) {
      expect(dispatchedIdsOf(back[index]?.transport.text ?? '')).toEqual([...ids, '6'])
    }
  })

  it('closes only the stream whose filter throws during the replay', async () => {
    const [channel] = withClients(0, { history: new MemoryHistory() })
    for (const id of [1, 2]) await channel.broadcast({ id, data: 'x' })
    const { stream } = client('1')
    const problem = new Error('bug')
    const filter = (): boolean => {
      throw problem
    }
    expect(channel.subscribe(stream, { filter })).toEqual({ replay: 'closed', replayed: 0 })
    expect(await stream.closed).toMatchObject({ reason: 'error', error: problem })
    expect(channel.size).toBe(0)
  })

  it('leaves no gap and sends nothing twice, in any interleaving', async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('broadcast' as const) }) },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constant('connect' as const), back: fc.nat(20) }),
      },
      {
        weight: 3,
        arbitrary: fc.record({
          kind: fc.constant('room' as const),
          who: fc.nat(20),
          room: fc.nat(6),
        }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), who: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
        const channel = createChannel({ history: new MemoryHistory() })
        const clients: (Client & { from: number })[] = []
        const broadcasts: Promise<unknown>[] = []
        for (const each of steps) {
          const id = broadcasts.length
          if (each.kind === 'broadcast') {
            broadcasts.push(channel.broadcast({ id: id + 1, data: 'x' }))
          } else if (each.kind === 'connect') {
            // Behind by so many events, or new.
            const from = Math.max(0, id - each.back)
            const one = client(from === 0 ? '' : String(from))
            one.transport.room = each.back % 4
            channel.subscribe(one.stream)
            clients.push({ ...one, from: from === 0 ? id : from })
          } else if (each.kind === 'turn') await new Promise(setImmediate)
          else if (each.kind === 'room') clients[each.who]?.transport.drain(each.room)
          else clients[each.who]?.transport.leave()
        }
        await Promise.all(broadcasts)
        for (const { transport, stream, from } of clients) {
          const open = stream.state === 'open'
          if (open) transport.drain(1_000)
          const got = dispatchedIdsOf(transport.text).map(Number)
          expect(got).toEqual(got.map((_, index) => from + 1 + index))
          if (open) expect(got.length).toBe(broadcasts.length - from)
        }
      }),
      { numRuns: 200 },
    )
  })
})
