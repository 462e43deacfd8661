// What a client misses that is cut off before its first event: nothing, where the channel has a history.
import { describe, expect, it } from 'vitest'
import { createChannel, MemoryHistory } from '../../src/index.js'
import { dispatchedIdsOf, idsOf } from '../support/chunked.js'
import { client, withClients } from '../support/memory-clients.js'

const dataOf = (text: string): string[] =>
  [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => data ?? '')

describe('a client that has had no event', () => {
  it('is sent the last id, and reconnects with it to get what it has missed', async () => {
    const [channel] = withClients(0, { history: new MemoryHistory() })
    await channel.broadcast({ id: 'a', data: 1 })
    const fresh = client()
    expect(channel.subscribe(fresh.stream)).toEqual({ replay: 'complete', replayed: 0 })
    expect(fresh.transport.text).toBe('id: a\n\n')
    await channel.broadcast({ id: 'b', data: 2 })
    const back = client(idsOf(fresh.transport.text)[0])
    expect(await channel.subscribe(back.stream).ready).toEqual({ replay: 'complete', replayed: 1 })
    expect(dataOf(back.transport.text)).toEqual(['2'])
  })

  it('comes back complete also where there had been no event at all', async () => {
    const channel = createChannel({ history: { maxEvents: 3 } })
    const fresh = client()
    channel.subscribe(fresh.stream)
    fresh.transport.leave()
    for (const data of [1, 2]) await channel.broadcast({ data })
    const [origin] = idsOf(fresh.transport.text)
    const back = client(origin)
    expect(channel.subscribe(back.stream)).toEqual({ replay: 'complete', replayed: 2 })
    for (const data of [3, 4]) await channel.broadcast({ data })
    const late = client(origin)
    expect(channel.subscribe(late.stream)).toEqual({ replay: 'partial', replayed: 3 })
    expect(dataOf(back.transport.text)).toEqual(['1', '2', '3', '4'])
  })

  it('does not count the message with only an id as an event', async () => {
    const channel = createChannel({ history: { maxEvents: 3 } })
    const fresh = client()
    channel.subscribe(fresh.stream)
    expect(fresh.stream.delivered()?.events ?? 0).toBe(0)
  })

  it('is sent nothing by a channel without a history', () => {
    const [, [only]] = withClients(1)
    expect(only?.transport.text).toBe('')
  })
})

describe('ids that a channel gives', () => {
  it('are not those of another channel, nor of the same one in another process', async () => {
    const make = () => createChannel({ history: { maxEvents: 10 } })
    const before = make()
    const seen = client()
    before.subscribe(seen.stream)
    for (const data of [1, 2]) await before.broadcast({ data })
    const restarted = make()
    for (const data of [1, 2, 3]) await restarted.broadcast({ data })
    for (const id of idsOf(seen.transport.text)) {
      const back = client(id)
      expect(restarted.subscribe(back.stream)).toEqual({ replay: 'unknown', replayed: 0 })
    }
  })

  it("leave an application's ids as they are", async () => {
    const channel = createChannel({ history: { maxEvents: 10 } })
    const [one] = [client()]
    channel.subscribe(one.stream)
    await channel.broadcast({ id: 'mine', data: 1 })
    await channel.broadcast({ data: 2 })
    const [first, second] = dispatchedIdsOf(one.transport.text)
    expect(first).toBe('mine')
    expect(second).toMatch(/^[\w-]{8}\.1$/)
    const back = client('mine')
    expect(channel.subscribe(back.stream)).toEqual({ replay: 'complete', replayed: 1 })
  })
})
