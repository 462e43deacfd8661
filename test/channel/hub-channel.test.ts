// Channels with a hub over streams into memory: what its application and its clients see.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, it } from 'vitest'
import { Channels } from '../../src/channel/channels.js'
import {
  createChannel,
  createChannels,
  drain,
  type HubChannel,
  type HubChannelOptions,
  localHub,
  metrics,
} from '../../src/index.js'
import { dispatchedIdsOf, idsOf } from '../support/chunked.js'
import { FakeClock } from '../support/fake-clock.js'
import { client } from '../support/memory-clients.js'
import { type SimulatedFeed, SimulatedHub, SimulatedLog } from '../support/simulated-hub.js'
import { waitFor } from '../support/wait-for.js'

const code = (expected: string): unknown => expect.objectContaining({ code: expected })
const dataOf = (text: string): string[] =>
  [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => data ?? '')
const turn = (): Promise<void> => new Promise(setImmediate)

function simulated(options: Partial<HubChannelOptions> = {}, keep = 5_000) {
  const engine = new SimulatedLog(keep)
  const hub = new SimulatedHub(engine)
  const channel = createChannel({ hub, name: 'news', ...options })
  const feed = hub.feeds[0] as SimulatedFeed
  feed.deliver(0)
  return { engine, hub, channel, feed }
}

/** Lets entries come, and all broadcasts of them end: on a busy machine each takes a turn of the event loop. */
async function deliver(feed: SimulatedFeed, count: number): Promise<void> {
  feed.deliver(count)
  for (let n = 0; n <= count; n++) await turn()
}

async function publish(channel: HubChannel, count: number): Promise<void> {
  for (let n = 1; n <= count; n++) await channel.broadcast({ data: n })
}

describe('a channel with a hub', () => {
  it('gives subscribers of all its processes the same events with the same ids', async () => {
    const hub = localHub()
    const [here, there] = [1, 2].map(() => createChannel({ hub, name: 'news' })) as [
      HubChannel,
      HubChannel,
    ]
    const [a, b] = [client(), client()]
    await here.subscribe(a.stream).ready
    await there.subscribe(b.stream).ready
    const { id } = await here.broadcast({ event: 'tick', data: { n: 1 } })
    await waitFor('the event', () => dispatchedIdsOf(b.transport.text).length === 1)
    expect(a.transport.text).toBe(b.transport.text)
    expect(a.transport.text).toContain(`id: ${id}\nevent: tick\ndata: {"n":1}\n\n`)
    const other = createChannel({ hub, name: 'sport' })
    const back = client(id)
    expect((await other.subscribe(back.stream).ready).replay).toBe('unknown')
    expect(back.transport.text).toMatch(/^event: gap\ndata: {"reason":"unknown"}\n\nid: /)
    await here.close()
    expect([a.stream.state, b.stream.state]).toEqual(['closed', 'open'])
  })

  it('refuses an id of the application, and what is wrong, at the call', async () => {
    const channel = createChannel({ hub: localHub(), name: 'news' })
    await expect(channel.broadcast({ id: 1, data: 'x' })).rejects.toThrow(code('ERR_EVENT_INVALID'))
    expect(() => createChannel({ hub: localHub() } as never)).toThrow(code('ERR_OPTION_TYPE'))
    expect(() => createChannel({ hub: {} as never, name: 'x' })).toThrow(code('ERR_OPTION_TYPE'))
    const { stream } = client()
    channel.subscribe(stream)
    expect(() => channel.subscribe(stream)).toThrow(code('ERR_SUBSCRIBED'))
    await channel.close()
    expect(() => channel.subscribe(client().stream)).toThrow(code('ERR_CHANNEL_CLOSED'))
    await expect(channel.broadcast({ data: 'x' })).rejects.toThrow(code('ERR_CHANNEL_CLOSED'))
  })

  it('asks the engine a few times for a thousand clients that come back with one id', async () => {
    const { engine, channel, feed } = simulated()
    const first = client()
    channel.subscribe(first.stream)
    const [id] = idsOf(first.transport.text)
    await publish(channel, 1_030)
    await deliver(feed, 1_030)
    engine.reads = 0
    const back = Array.from({ length: 1_000 }, () => client(id))
    const ready = back.map(({ stream }) => channel.subscribe(stream).ready)
    let settled = 0
    for (const each of ready) void each.then(() => settled++)
    while (settled < 1_000) {
      for (const read of feed.held.splice(0)) read.answer()
      await turn()
    }
    expect(await ready[999]).toEqual({ replay: 'complete', replayed: 1_030 })
    expect(dataOf(back[500]?.transport.text ?? '')).toEqual(
      Array.from({ length: 1_030 }, (_, i) => String(i + 1)),
    )
    // The simulated engine answers with three entries at most; the window has the last 1 000.
    expect(engine.reads).toBeLessThanOrEqual(Math.ceil(31 / 3))
    // Those within the window ask nothing.
    engine.reads = 0
    const near = client(dispatchedIdsOf(back[0]?.transport.text ?? '').at(-10))
    expect(await channel.subscribe(near.stream).ready).toEqual({ replay: 'complete', replayed: 9 })
    expect(engine.reads).toBe(0)
  })

  it('asks nothing for what can be no id, and once for one that it does not know', async () => {
    const { engine, channel, feed } = simulated()
    const first = client()
    channel.subscribe(first.stream)
    const tag = idsOf(first.transport.text)[0]?.split('.')[0]
    for (const bad of ['x', `${tag}.`, `${tag}.x`, `${tag}.a b`, `${tag}.${'9'.repeat(200)}`]) {
      expect((await channel.subscribe(client(bad).stream).ready).replay).toBe('unknown')
    }
    expect(engine.reads).toBe(0)
    for (let times = 0; times < 20; times++) {
      const { ready } = channel.subscribe(client(`${tag}.era1.999`).stream)
      await turn()
      for (const read of feed.held.splice(0)) read.answer()
      expect((await ready).replay).toBe('unknown')
    }
    expect(engine.reads).toBe(1)
  })

  it('lets a client live on where the engine does not answer, and says so', async () => {
    const { channel, feed } = simulated({ resumeTimeout: 50, history: { maxEvents: 2 } })
    const first = client()
    channel.subscribe(first.stream)
    await publish(channel, 9)
    await deliver(feed, 9)
    const back = client(idsOf(first.transport.text)[0])
    expect(await channel.subscribe(back.stream).ready).toEqual({
      replay: 'unavailable',
      replayed: 0,
    })
    await channel.broadcast({ data: 'new' })
    await deliver(feed, 1)
    expect(dataOf(back.transport.text)).toEqual(['{"reason":"unavailable"}', '"new"'.slice(1, -1)])
  })

  it('rejects within its time what the engine does not take, or sends it here without an id', async () => {
    const { engine, channel, feed } = simulated()
    const local = createChannel({ hub: new SimulatedHub(engine), name: 'news', whenDown: 'local' })
    const { transport, stream } = client()
    local.subscribe(stream)
    engine.away = true
    await expect(channel.broadcast({ data: 1 })).rejects.toThrow(code('ERR_HUB_DOWN'))
    expect(await local.broadcast({ data: 'now' })).toEqual({ id: undefined })
    expect(transport.text).toBe('data: now\n\n')
    const full = simulated({ maxPending: 2 })
    Object.assign(full.feed, { publish: () => new Promise(() => {}) })
    for (let n = 0; n < 2; n++) void full.channel.broadcast({ data: n })
    await expect(full.channel.broadcast({ data: 3 })).rejects.toThrow(code('ERR_HUB_DOWN'))
    feed.close()
  })

  it('tells application and clients of a gap, and the window does not answer across it', async () => {
    const gaps: unknown[] = []
    const note = (message: unknown): void => void gaps.push(message)
    const onGap = (gap: unknown): void => void gaps.push(gap)
    const { engine, channel, feed } = simulated({ onGap })
    const { transport, stream } = client()
    channel.subscribe(stream)
    await publish(channel, 2)
    await deliver(feed, 2)
    const [, before] = dispatchedIdsOf(transport.text)
    engine.forget()
    const counted = metrics().hub.gaps
    subscribe('tcp-sse:channel:gap', note)
    await deliver(feed, 1)
    unsubscribe('tcp-sse:channel:gap', note)
    expect(gaps).toEqual([gaps[0], gaps[0]])
    expect(gaps[0]).toMatchObject({ name: 'news', after: before })
    expect(metrics().hub.gaps).toBe(counted + 1)
    expect(dataOf(transport.text).at(-1)).toBe('{"reason":"lost"}')
    const { ready } = channel.subscribe(client(before).stream)
    await turn()
    for (const read of feed.held.splice(0)) read.answer()
    expect((await ready).replay).toBe('unknown')
  })

  it('reads anew after a gap what it remembered of the log before', async () => {
    const { engine, channel, feed } = simulated({ history: { maxEvents: 1 } })
    const first = client()
    channel.subscribe(first.stream)
    await publish(channel, 3)
    await deliver(feed, 3)
    const [id] = dispatchedIdsOf(first.transport.text)
    const outcomes: string[] = []
    const comeBack = async (): Promise<void> => {
      const { ready } = channel.subscribe(client(id).stream)
      await turn()
      for (const read of feed.held.splice(0)) read.answer()
      outcomes.push((await ready).replay)
    }
    await comeBack()
    engine.forget()
    await publish(channel, 1)
    await deliver(feed, 1)
    await comeBack()
    expect(outcomes).toEqual(['complete', 'unknown'])
  })

  for (const [engineIs, answer, replay, told] of [
    ['there', (read: { answer(): void }) => read.answer(), 'complete', []],
    ['away', (read: { fail(): void }) => read.fail(), 'unavailable', ['{"reason":"unavailable"}']],
  ] as const) {
    it(`gives a client that is ahead of this process nothing twice, while the engine is ${engineIs}`, async () => {
      const { engine, channel, feed } = simulated()
      const late = new SimulatedHub(engine)
      const behind = createChannel({ hub: late, name: 'news' })
      const lateFeed = late.feeds[0] as SimulatedFeed
      lateFeed.deliver(0)
      const here = client()
      channel.subscribe(here.stream)
      await publish(channel, 5)
      await deliver(feed, 5)
      const back = client(dispatchedIdsOf(here.transport.text)[2])
      const { ready } = behind.subscribe(back.stream)
      await turn()
      for (const read of lateFeed.held.splice(0)) answer(read)
      // It has all that this process knows, so it waits for nothing.
      expect((await ready).replay).toBe(replay)
      await deliver(lateFeed, 2)
      await turn()
      await deliver(lateFeed, 3)
      await waitFor('the rest', () => dataOf(back.transport.text).includes('5'))
      expect(dataOf(back.transport.text)).toEqual([...told, '4', '5'])
    })
  }

  it("ends its subscribers over some time after a gap with onGap: 'close', and sends them nothing more", async () => {
    const { engine, channel, feed } = simulated({ onGap: 'close', spreadOver: 200 })
    const clients = Array.from({ length: 20 }, () => client())
    for (const { stream } of clients) channel.subscribe(stream)
    engine.forget()
    await publish(channel, 1)
    await deliver(feed, 1)
    expect(clients.filter(({ stream }) => stream.state === 'open').length).toBeGreaterThan(10)
    const infos = await Promise.all(clients.map(({ stream }) => stream.closed))
    for (const { reason } of infos) expect(reason).toBe('drained')
    for (const { transport } of clients) {
      expect(transport.text).toContain('retry: ')
      expect(dataOf(transport.text)).toEqual([])
    }
  })

  it('shows the state of its feed to diagnostics and metrics', async () => {
    const messages: unknown[] = []
    const note = (message: unknown): void => void messages.push(message)
    const { down } = metrics().hub.channels
    subscribe('tcp-sse:channel:state', note)
    const { channel, hub } = simulated()
    const cause = new Error('refused')
    hub.listeners[0]?.state('down', cause)
    unsubscribe('tcp-sse:channel:state', note)
    expect(channel.state).toBe('down')
    expect(metrics().hub.channels.down).toBe(down + 1)
    expect(messages).toEqual([
      { name: 'news', state: 'live', previous: 'catching-up', cause: undefined },
      { name: 'news', state: 'down', previous: 'live', cause },
    ])
    await channel.close()
    expect(metrics().hub.channels.down).toBe(down)
  })

  it('is drained with those who are on their way', async () => {
    const { channel, feed } = simulated({ history: { maxEvents: 1 } })
    const first = client()
    channel.subscribe(first.stream)
    await publish(channel, 5)
    await deliver(feed, 5)
    const joining = client(idsOf(first.transport.text)[0])
    channel.subscribe(joining.stream)
    expect(channel.size).toBe(2)
    expect(await drain(channel, { spreadOver: 0 })).toMatchObject({ streams: 2, drained: 2 })
    expect(channel.size).toBe(0)
  })

  it('goes on where it was with a stream that was taken out and comes again', async () => {
    const { channel, feed } = simulated()
    const { transport, stream } = client()
    channel.subscribe(stream)
    await publish(channel, 1)
    await deliver(feed, 1)
    expect(channel.unsubscribe(stream)).toBe(true)
    await publish(channel, 2)
    await deliver(feed, 2)
    expect(await channel.subscribe(stream).ready).toEqual({ replay: 'complete', replayed: 2 })
    expect(dataOf(transport.text)).toEqual(['1', '1', '2'])
  })
})

describe('many small channels', () => {
  it('open on first use, and close when nobody has used them for a while', async () => {
    const clock = new FakeClock()
    const channels = new Channels({ hub: localHub(), closeAfter: 1_000 }, clock)
    const { transport, stream } = client()
    const chat = channels.get('chat:42')
    expect(channels.get('chat:42')).toBe(chat)
    await chat.subscribe(stream).ready
    channels.get('chat:43')
    clock.run(5_000)
    expect(channels.size).toBe(1)
    const { id } = await chat.broadcast({ data: 1 })
    transport.leave()
    clock.run(10_000)
    expect(channels.size).toBe(0)
    await expect(chat.broadcast({ data: 2 })).rejects.toThrow(code('ERR_CHANNEL_CLOSED'))
    // The log stays: who comes back is served, and reads no other channel.
    await channels.get('chat:43').broadcast({ data: 'other' })
    await channels.get('chat:42').broadcast({ data: 3 })
    const back = client(id)
    await channels.get('chat:42').subscribe(back.stream).ready
    expect(dataOf(back.transport.text)).toEqual(['3'])
    await channels.close()
    expect(back.stream.state).toBe('closed')
    expect(() => createChannels({} as never)).toThrow(code('ERR_OPTION_TYPE'))
  })
})
