// Streams that leave a channel and come back to it, and events that have no id.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Channel, createChannel, MemoryHistory } from '../../src/index.js'
import { idsOf } from '../support/chunked.js'
import { type Client, client, slowDown, withClients } from '../support/memory-clients.js'

const withHistory = (): [Channel, Client[]] =>
  withClients(0, { history: new MemoryHistory({ maxEvents: 1_000 }) })

describe('a stream that subscribes again', () => {
  it('is sent what it has missed, and nothing that it already has', async () => {
    const [channel] = withHistory()
    for (const id of [1, 2, 3]) await channel.broadcast({ id, data: 'x' })
    const { stream, transport } = client('1')
    expect(channel.subscribe(stream)).toEqual({ replay: 'complete', replayed: 2 })
    await channel.broadcast({ id: 4, data: 'x' })
    channel.unsubscribe(stream)
    await channel.broadcast({ id: 5, data: 'x' })
    expect(channel.subscribe(stream)).toEqual({ replay: 'complete', replayed: 1 })
    channel.unsubscribe(stream)
    expect(channel.subscribe(stream)).toEqual({ replay: 'complete', replayed: 0 })
    await channel.broadcast({ id: 6, data: 'x' })
    expect(idsOf(transport.text)).toEqual(['2', '3', '4', '5', '6'])
  })

  it('is sent the events after the given lastEventId, if there is one', async () => {
    const [channel] = withHistory()
    const { stream, transport } = client()
    channel.subscribe(stream)
    for (const id of [1, 2, 3]) await channel.broadcast({ id, data: 'x' })
    channel.unsubscribe(stream)
    expect(channel.subscribe(stream, { lastEventId: '2' })).toMatchObject({ replayed: 1 })
    expect(idsOf(transport.text)).toEqual(['1', '2', '3', '3'])
  })

  it('goes on after a replay, also when nothing else was broadcast since', async () => {
    const history = new MemoryHistory()
    const before = createChannel({ history })
    for (const id of [1, 2, 3]) await before.broadcast({ id, data: 'x' })
    const channel = createChannel({ history })
    const { stream, transport } = client('1')
    channel.subscribe(stream)
    channel.unsubscribe(stream)
    expect(channel.subscribe(stream)).toEqual({ replay: 'complete', replayed: 0 })
    expect(idsOf(transport.text)).toEqual(['2', '3'])
  })

  it('gets an event once that was under way, whether that had come to it or not', async () => {
    const history = new MemoryHistory()
    const [channel, clients] = withClients(3_000, { history, sliceBudget: 20 })
    await channel.broadcast({ id: 1, data: 'x' })
    // The first broadcast may have used up the budget of this turn.
    await new Promise(setImmediate)
    slowDown(clients[750] as Client, 25)
    const broadcasts = [2, 3].map((id) => channel.broadcast({ id, data: 'x' }))
    const some = [clients[0], clients[1_500], clients[2_999]] as Client[]
    expect(some.map(({ transport }) => idsOf(transport.text))).toEqual([['1', '2'], ['1'], ['1']])
    for (const { stream } of some) {
      channel.unsubscribe(stream)
      channel.subscribe(stream)
    }
    await Promise.all(broadcasts)
    for (const { transport } of some) expect(idsOf(transport.text)).toEqual(['1', '2', '3'])
  })

  it('gets each event once, however often and whenever it goes and comes', async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.constant('broadcast' as const) },
      { weight: 3, arbitrary: fc.constant('go or come' as const) },
      { weight: 1, arbitrary: fc.constant('turn' as const) },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const history = new MemoryHistory()
        const [channel, [one]] = withClients(400, { history, sliceBudget: 1 }) as [
          Channel,
          [Client],
        ]
        const broadcasts = [channel.broadcast({ id: 1, data: 'x' })]
        for (const each of steps) {
          if (each === 'broadcast') {
            broadcasts.push(channel.broadcast({ id: broadcasts.length + 1, data: 'x' }))
          } else if (each === 'turn') await new Promise(setImmediate)
          else if (!channel.unsubscribe(one.stream)) channel.subscribe(one.stream)
        }
        await Promise.all(broadcasts)
        if (!channel.unsubscribe(one.stream)) channel.subscribe(one.stream)
        channel.unsubscribe(one.stream)
        channel.subscribe(one.stream)
        expect(idsOf(one.transport.text).map(Number)).toEqual(
          broadcasts.map((_, index) => index + 1),
        )
      }),
      { numRuns: 40 },
    )
  })
})

describe('a stream that is taken out by a callback of the broadcast under way', () => {
  /** Two subscribers; the filter of the second calls back when it is asked about event 2. */
  async function pair(onAsked: (channel: Channel, clients: [Client, Client]) => boolean) {
    const [channel] = withHistory()
    const clients: [Client, Client] = [client(), client()]
    channel.subscribe(clients[0].stream)
    channel.subscribe(clients[1].stream, {
      filter: ({ id }) => id !== '2' || onAsked(channel, clients),
    })
    await channel.broadcast({ id: 1, data: 'x' })
    return { channel, clients }
  }

  it('has had the event where the broadcast had come to it', async () => {
    const { channel, clients } = await pair((its, [first]) => its.unsubscribe(first.stream))
    await channel.broadcast({ id: 2, data: 'x' })
    const [first] = clients
    channel.subscribe(first.stream)
    expect(idsOf(first.transport.text)).toEqual(['1', '2'])
  })

  it('is not sent the event about which its own filter is being asked, and gets it when it comes again', async () => {
    const { channel, clients } = await pair((its, [, second]) => its.unsubscribe(second.stream))
    await channel.broadcast({ id: 2, data: 'x' })
    const [, second] = clients
    expect(idsOf(second.transport.text)).toEqual(['1'])
    channel.subscribe(second.stream)
    expect(idsOf(second.transport.text)).toEqual(['1', '2'])
  })
})

describe('events without an id', () => {
  it('are sent to present subscribers and never replayed, with any history', async () => {
    const [channel] = withHistory()
    const there = client()
    channel.subscribe(there.stream)
    await channel.broadcast({ id: 1, data: 'one' })
    await channel.broadcast({ data: 'typing' })
    await channel.broadcast({ id: 2, data: 'two' })
    expect(there.transport.text).toContain('typing')
    // It has had all three, and can only say so of the first.
    const back = client('1')
    expect(channel.subscribe(back.stream)).toEqual({ replay: 'complete', replayed: 1 })
    expect(back.transport.text).toBe('id: 2\ndata: two\n\n')
  })
})

describe('what a subscription says', () => {
  it('is closed for a stream that has ended or is ending', async () => {
    const [channel] = withHistory()
    await channel.broadcast({ id: 1, data: 'x' })
    const gone = client('1')
    gone.transport.leave()
    const ending = client('1')
    ending.transport.room = 1
    for (const data of ['fills', 'waits']) ending.stream.send({ data })
    void ending.stream.close()
    expect(ending.stream.state).toBe('closing')
    for (const { stream } of [gone, ending])
      expect(channel.subscribe(stream)).toEqual({ replay: 'closed', replayed: 0 })
    expect(channel.size).toBe(0)
  })

  it('is unknown without a history', async () => {
    const channel = createChannel()
    expect(channel.subscribe(client('7').stream).replay).toBe('unknown')
    const { stream } = client()
    expect(channel.subscribe(stream).replay).toBe('complete')
    await channel.broadcast({ id: 1, data: 'x' })
    channel.unsubscribe(stream)
    expect(channel.subscribe(stream).replay).toBe('complete')
    channel.unsubscribe(stream)
    await channel.broadcast({ id: 2, data: 'x' })
    expect(channel.subscribe(stream).replay).toBe('unknown')
  })
})
