// Channels whose callbacks, hubs and responses do more than they have to, or at an unlucky moment.
import { describe, expect, it } from 'vitest'
import { type Channel, createChannel, drain, type History, MemoryHistory } from '../../src/index.js'
import { idsOf } from '../support/chunked.js'
import { type Client, client, withClients } from '../support/memory-clients.js'

describe('a channel', () => {
  it("a subscriber whose response's write throws is closed with error; the others get each event once", async () => {
    const [channel, [one, broken, three]] = withClients(3) as [Channel, [Client, Client, Client]]
    const problem = new Error('of a wrapper')
    broken.transport.write = () => {
      throw problem
    }
    expect(await channel.broadcast({ id: '1', data: 'x' })).toMatchObject({ sent: 2, closed: 1 })
    expect(await channel.broadcast({ id: '2', data: 'x' })).toMatchObject({ sent: 2 })
    expect(await broken.stream.closed).toMatchObject({ reason: 'error', error: problem })
    for (const { transport } of [one, three]) expect(idsOf(transport.text)).toEqual(['1', '2'])
  })

  it('a subscriber whose wrapped end throws as well is cut off, and the broadcast goes on', async () => {
    const [channel, [broken, other]] = withClients(2) as [Channel, [Client, Client]]
    const problem = new Error('of a wrapper')
    const throwing = (): never => {
      throw problem
    }
    Object.assign(broken.transport, { write: throwing, end: throwing })
    expect(await channel.broadcast({ id: '1', data: 'x' })).toMatchObject({ sent: 1, closed: 1 })
    expect(await broken.stream.closed).toMatchObject({ reason: 'error', error: problem })
    await channel.broadcast({ id: '2', data: 'x' })
    expect(idsOf(other.transport.text)).toEqual(['1', '2'])
  })

  it('a subscriber whose filter and wrapped end both throw is cut off; the others get the event once', async () => {
    const [channel, [first]] = withClients(1) as [Channel, [Client]]
    const broken = client()
    const problem = new Error('of the filter')
    channel.subscribe(broken.stream, {
      filter: () => {
        throw problem
      },
    })
    const last = client()
    channel.subscribe(last.stream)
    broken.transport.end = () => {
      throw new Error('of a wrapper')
    }
    expect(await channel.broadcast({ id: '1', data: 'x' })).toMatchObject({ sent: 2 })
    expect(await channel.broadcast({ id: '2', data: 'x' })).toMatchObject({ sent: 2 })
    expect(await broken.stream.closed).toMatchObject({ reason: 'error', error: problem })
    for (const { transport } of [first, last]) expect(idsOf(transport.text)).toEqual(['1', '2'])
  })

  it('closes all its subscribers, also behind one whose wrapped end throws', async () => {
    const [channel, [broken, other]] = withClients(2) as [Channel, [Client, Client]]
    const problem = new Error('of a wrapper')
    broken.transport.end = () => {
      throw problem
    }
    await channel.close()
    expect(await broken.stream.closed).toMatchObject({ reason: 'error', error: problem })
    expect(await other.stream.closed).toMatchObject({ reason: 'ended' })
  })

  it('is drained, also where a wrapped write or end throws', async () => {
    const [channel, clients] = withClients(3) as [Channel, Client[]]
    const problem = new Error('of a wrapper')
    const throwing = (): never => {
      throw problem
    }
    Object.assign(clients[0]?.transport as object, { end: throwing })
    Object.assign(clients[1]?.transport as object, { write: throwing, end: throwing })
    expect(await drain(channel, { spreadOver: 0 })).toMatchObject({
      streams: 3,
      drained: 1,
      left: 2,
    })
    for (const { stream } of clients.slice(0, 2))
      expect(await stream.closed).toMatchObject({ reason: 'error', error: problem })
  })

  it('a close() whose wrapped end throws resolves, and a wait for room that a wrapped write ends does too', async () => {
    const problem = new Error('of a wrapper')
    const throwing = (): never => {
      throw problem
    }
    const ending = client()
    ending.transport.end = throwing
    expect(await ending.stream.close()).toMatchObject({ reason: 'error', error: problem })
    const waiting = client()
    waiting.transport.room = 1
    for (const data of ['fills', 'waits']) waiting.stream.send({ data })
    const room = waiting.stream.writable()
    waiting.transport.write = throwing
    waiting.transport.drain(5)
    expect(await room).toBe(false)
    expect(await waiting.stream.closed).toMatchObject({ reason: 'error', error: problem })
  })

  it('ends all streams of a signal, also behind one whose response throws when it is destroyed', async () => {
    const problems: unknown[] = []
    const note = (error: unknown): void => void problems.push(error)
    process.on('uncaughtException', note)
    try {
      const controller = new AbortController()
      const [broken, other] = [1, 2].map(() => client('', { signal: controller.signal })) as [
        Client,
        Client,
      ]
      const problem = new Error('of a wrapper')
      broken.transport.destroy = () => {
        throw problem
      }
      controller.abort()
      expect([broken.stream.state, other.stream.state]).toEqual(['closed', 'closed'])
      await new Promise(setImmediate)
      expect(problems).toEqual([problem])
    } finally {
      process.off('uncaughtException', note)
    }
  })

  it('rejects a broadcast if its history throws, sends it to no stream, and continues', async () => {
    const memory = new MemoryHistory()
    let full = true
    const history: History = {
      append(event) {
        if (full) throw new Error('the disk is full')
        memory.append(event)
      },
      since: (id) => memory.since(id),
    }
    const [channel, [here]] = withClients(1, { history }) as [Channel, [Client]]
    await expect(channel.broadcast({ id: '1', data: 'x' })).rejects.toThrow('the disk is full')
    full = false
    await channel.broadcast({ id: '2', data: 'x' })
    expect(idsOf(here.transport.text)).toEqual(['2'])
  })

  it('keeps one order for all subscribers, also for what is broadcast from within a callback', async () => {
    const [channel, [before]] = withClients(1) as [Channel, [Client]]
    const [asked, after] = [client(), client()]
    let answer: Promise<unknown> | undefined
    channel.subscribe(asked.stream, {
      filter: ({ id }) => {
        if (id === '1') answer = channel.broadcast({ id: '2', data: 'x' })
        return true
      },
    })
    channel.subscribe(after.stream)
    await channel.broadcast({ id: '1', data: 'x' })
    await answer
    for (const { transport } of [before, asked, after])
      expect(idsOf(transport.text)).toEqual(['1', '2'])
  })

  it('closes once what was broadcast from within a callback is out', async () => {
    const [channel, [only]] = withClients(1) as [Channel, [Client]]
    const asked = client()
    let closed: Promise<void> | undefined
    channel.subscribe(asked.stream, {
      filter: ({ id }) => {
        if (id !== '1') return true
        void channel.broadcast({ id: '2', data: 'x' })
        closed = channel.close()
        return true
      },
    })
    await channel.broadcast({ id: '1', data: 'x' })
    await closed
    for (const { transport } of [only, asked]) expect(idsOf(transport.text)).toEqual(['1', '2'])
  })

  it('sends a replay after what waits already, and several replays one after the other', async () => {
    const [one, two] = ['a', 'b'].map((name) => {
      const channel = createChannel({ history: new MemoryHistory() })
      for (let n = 0; n < 4; n++) void channel.broadcast({ id: `${name}${n}`, data: 'x' })
      return channel
    }) as [Channel, Channel]
    const { stream, transport } = client()
    transport.drain(1)
    stream.send({ id: 'first', data: 'x' })
    stream.send({ id: 'waits', data: 'x' })
    one.subscribe(stream, { lastEventId: 'a0' })
    stream.send({ id: 'between', data: 'x' })
    two.subscribe(stream, { lastEventId: 'b0' })
    await one.broadcast({ id: 'a4', data: 'x' })
    for (let round = 0; round < 12; round++) transport.drain(1)
    expect(idsOf(transport.text)).toEqual([
      'first',
      'waits',
      'a1',
      'a2',
      'a3',
      'between',
      'b1',
      'b2',
      'b3',
      'a4',
    ])
  })

  it('leaves no gap where a filter broadcasts over the history', async () => {
    const [channel] = withClients(0, { history: new MemoryHistory() })
    for (const id of [1, 2]) await channel.broadcast({ id, data: 'x' })
    const { stream, transport } = client('1')
    let once = false
    const filter = (): boolean => {
      if (!once) {
        once = true
        void channel.broadcast({ id: 3, data: 'x' })
      }
      return true
    }
    expect(channel.subscribe(stream, { filter })).toEqual({ replay: 'complete', replayed: 2 })
    await channel.broadcast({ id: 4, data: 'x' })
    expect(idsOf(transport.text)).toEqual(['2', '3', '4'])
  })
})
