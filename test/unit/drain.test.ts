// The staggering of a drain on a fake clock, over transports into memory.
import { describe, expect, it } from 'vitest'
import { encodeEvent, type TcpSseError } from '../../src/index.js'
import { Drain, type DrainSettings } from '../../src/lifecycle/drain.js'
import { LiveStream } from '../../src/stream/live-stream.js'
import { streamSettings } from '../../src/stream/options.js'
import { ShutdownMessage } from '../../src/stream/shutdown-message.js'
import { FakeClock } from '../support/fake-clock.js'
import { MemoryTransport } from '../support/memory-transport.js'

function clients(count: number, options = {}) {
  return Array.from({ length: count }, () => {
    const transport = new MemoryTransport()
    return { transport, stream: new LiveStream(transport, streamSettings(options), '') }
  })
}

function start(all: { stream: LiveStream }[], settings: Partial<DrainSettings> = {}) {
  const clock = new FakeClock()
  const drain = new Drain(
    all.map(({ stream }) => stream),
    {
      shutdownMessage: new ShutdownMessage(1_000, undefined),
      closeConnections: true,
      retry: 1_000,
      spreadOver: 1_000,
      timeout: 2_000,
      signal: undefined,
      ...settings,
    },
    clock,
  )
  return { clock, result: drain.run() }
}

const openOf = (all: { stream: LiveStream }[]): number =>
  all.filter(({ stream }) => stream.state === 'open').length

describe('a drain', () => {
  it('ends streams evenly over the time, the first at once and the last before it is over', async () => {
    const all = clients(100)
    const { clock, result } = start(all)
    expect(openOf(all)).toBe(99)
    for (const [time, left] of [
      [100, 89],
      [500, 49],
      [900, 9],
      [999, 1],
      [1_000, 0],
    ] as const) {
      clock.run(time)
      expect(Math.abs(openOf(all) - left), `${time} ms`).toBeLessThanOrEqual(2)
    }
    clock.run(1_020)
    expect(openOf(all)).toBe(0)
    const { streams, drained, aborted, left } = await result
    expect({ streams, drained, aborted, left }).toEqual({
      streams: 100,
      drained: 100,
      aborted: 0,
      left: 0,
    })
    expect(clock.armed).toBe(false)
  })

  it('never ends more in a tick than its share', () => {
    const all = clients(1_000)
    const { clock } = start(all)
    let before = openOf(all)
    for (let time = 0; time <= 1_000; time += 20) {
      clock.run(time)
      const now = openOf(all)
      expect(before - now).toBeLessThanOrEqual(1_000 / 50 + 1)
      before = now
    }
  })

  it('sends each client a different retry, between the least and twice that, and then the last event', () => {
    const all = clients(200)
    const event = encodeEvent({ event: 'bye', data: 'soon back' })
    const { clock } = start(all, { shutdownMessage: new ShutdownMessage(1_000, event) })
    clock.run(1_100)
    const retries = all.map(({ transport }) => {
      const [, retry, rest] = /^retry: (\d+)\n\n([\s\S]*)$/.exec(transport.text) ?? []
      expect(rest).toBe('event: bye\ndata: soon back\n\n')
      return Number(retry)
    })
    expect(Math.min(...retries)).toBeGreaterThanOrEqual(1_000)
    expect(Math.max(...retries)).toBeLessThanOrEqual(2_000)
    const tenths = new Array<number>(10).fill(0)
    for (const retry of retries) {
      const tenth = Math.min(9, Math.floor((retry - 1_000) / 100))
      tenths[tenth] = (tenths[tenth] as number) + 1
    }
    expect(Math.max(...tenths)).toBeLessThan(50)
  })

  it('says nothing of a time where none is wanted', () => {
    const all = clients(1)
    start(all, { shutdownMessage: new ShutdownMessage(false, undefined) })
    expect(all[0]?.transport.text).toBe('')
    expect(all[0]?.stream.state).toBe('closed')
  })

  it('waits for those who are behind, and cuts them off when the time is over', async () => {
    const all = clients(2)
    const [slow] = all
    if (slow === undefined) throw new Error('no client')
    slow.transport.room = 0
    slow.stream.send({ data: 'fills it' })
    const { clock, result } = start(all)
    clock.run(1_999)
    expect(slow.stream.state).toBe('closing')
    clock.run(2_000)
    expect(slow.stream.state).toBe('closed')
    const info = await slow.stream.closed
    expect(info.reason).toBe('drained')
    expect((info.error as TcpSseError).code).toBe('ERR_DRAIN_TIMEOUT')
    expect(await result).toMatchObject({ streams: 2, drained: 1, aborted: 1, left: 0, took: 2_000 })
    expect(clock.armed).toBe(false)
  })

  it('gives one that is behind its last words when it has room', async () => {
    const all = clients(1)
    const [slow] = all
    if (slow === undefined) throw new Error('no client')
    slow.transport.room = 0
    slow.stream.send({ data: 'fills it' })
    slow.stream.send({ data: 'waits' })
    const { result } = start(all)
    slow.transport.drain(10)
    expect(slow.transport.text).toMatch(/fills it\n\ndata: waits\n\nretry: \d+\n\n$/)
    expect(await result).toMatchObject({ drained: 1 })
  })

  it('never ends a stream as an overflow for its last words', async () => {
    const all = clients(1, { maxBufferedEvents: 1 })
    const [full] = all
    if (full === undefined) throw new Error('no client')
    full.transport.room = 0
    full.stream.send({ data: 'fills it' })
    expect(full.stream.send({ data: 'waits' })).toBe('queued')
    const { result } = start(all)
    expect(full.stream.state).toBe('closing')
    full.transport.drain(10)
    expect(full.transport.text).toMatch(/waits\n\n$/)
    expect(await result).toMatchObject({ drained: 1 })
  })

  it('counts streams separately that end otherwise during the drain', async () => {
    const all = clients(3)
    const { clock, result } = start(all)
    all[2]?.transport.leave()
    clock.run(1_100)
    expect(await result).toMatchObject({ streams: 3, drained: 2, aborted: 0, left: 1 })
  })

  it('cuts all streams off when its signal aborts', async () => {
    const controller = new AbortController()
    const all = clients(10)
    const { clock, result } = start(all, { signal: controller.signal })
    clock.run(300)
    controller.abort()
    expect(openOf(all)).toBe(0)
    expect(clock.armed).toBe(false)
    const { drained, aborted } = await result
    expect(drained + aborted).toBe(10)
    expect(drained).toBeLessThanOrEqual(4)
  })

  it('cuts all streams off at once when its signal has already aborted', async () => {
    const all = clients(3)
    const { result } = start(all, { signal: AbortSignal.abort() })
    expect(await result).toMatchObject({ aborted: 3, drained: 0 })
  })

  it('settles at once without streams', async () => {
    const { clock, result } = start([])
    expect(await result).toMatchObject({ streams: 0 })
    expect(clock.armed).toBe(false)
  })
})
