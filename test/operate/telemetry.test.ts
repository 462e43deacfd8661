// What the diagnostics channels say of real streams.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import http from 'node:http'
import { describe, expect, it } from 'vitest'
import {
  capabilities,
  createChannel,
  type DiagnosticsMessages,
  encodeEvent,
  guardServer,
} from '../../src/index.js'
import { cleanup, listen } from '../support/cleanup.js'
import { fillUp, opener } from '../support/open-stream.js'
import { waitFor } from '../support/wait-for.js'

/** Everything that is published on a channel until the test's end. */
function hear<K extends keyof DiagnosticsMessages>(name: K): DiagnosticsMessages[K][] {
  const heard: DiagnosticsMessages[K][] = []
  const listener = (message: unknown): void => void heard.push(message as DiagnosticsMessages[K])
  subscribe(name, listener)
  cleanup.push(() => void unsubscribe(name, listener))
  return heard
}

describe('the diagnostics channels', () => {
  it('announce each stream once as open and once as closed, with the public stream and its close info', async () => {
    const opens = hear('tcp-sse:stream:open')
    const closes = hear('tcp-sse:stream:close')
    const { open } = await opener(cleanup)
    const { stream } = await open()
    expect(opens).toEqual([{ stream }])
    expect(opens[0]?.stream).toBe(stream)
    expect(closes).toEqual([])
    const info = await stream.close()
    expect(closes).toHaveLength(1)
    expect(closes[0]?.stream).toBe(stream)
    expect(closes[0]?.info).toBe(info)
  })

  it('announce a stream that is closed from the start as open, then as closed', async () => {
    const order: string[] = []
    for (const name of ['open', 'close']) {
      const listener = (): void => void order.push(name)
      subscribe(`tcp-sse:stream:${name}`, listener)
      cleanup.push(() => void unsubscribe(`tcp-sse:stream:${name}`, listener))
    }
    const { open } = await opener(cleanup)
    const { stream } = await open({ signal: AbortSignal.abort() })
    expect(stream.state).toBe('closed')
    expect(order).toEqual(['open', 'close'])
  })

  it('say what an overflow dropped, and when it closed the stream', async () => {
    const overflows = hear('tcp-sse:stream:overflow')
    const { open } = await opener(cleanup)
    const dropping = await open({ maxBufferedEvents: 2, onOverflow: 'drop-oldest' })
    dropping.client.pause()
    await fillUp(dropping.stream)
    const { length } = overflows
    const { bytes } = encodeEvent({ data: 'y'.repeat(100) })
    for (let i = 0; i < 4; i++) dropping.stream.send({ data: 'y'.repeat(100) })
    const dropped = overflows.slice(length)
    expect(dropped.map(({ outcome, events }) => [outcome, events])).toEqual(
      new Array(dropped.length).fill(['dropped', 1]),
    )
    expect(dropped.at(-1)).toEqual({
      stream: dropping.stream,
      outcome: 'dropped',
      events: 1,
      bytes: bytes.length,
    })
    overflows.length = 0
    const closing = await open({ maxBufferedEvents: 1 })
    closing.client.pause()
    await fillUp(closing.stream)
    for (let i = 0; i < 3; i++) closing.stream.send({ data: 'y' })
    expect(closing.stream.state).toBe('closed')
    expect(overflows).toEqual([{ stream: closing.stream, outcome: 'closed', events: 0, bytes: 0 }])
  })

  // Only the kernel tells that a window is shut.
  it.runIf(capabilities().addon)('tell a verdict with the one before', async () => {
    const verdicts = hear('tcp-sse:stream:verdict')
    const { open } = await opener(cleanup)
    const { stream, client } = await open({ detectWithin: 4_000 })
    client.pause()
    await fillUp(stream)
    const [first] = await waitFor('a verdict', () => verdicts.length > 0 && verdicts)
    expect(first).toEqual({ stream, verdict: 'slow', previous: 'alive' })
    client.resume()
    await waitFor('another verdict', () => verdicts.some(({ verdict }) => verdict === 'alive'))
    expect(verdicts.at(-1)?.previous).not.toBe('alive')
  })

  it('tell of a broadcast when the last subscriber has had it', async () => {
    const broadcasts = hear('tcp-sse:channel:broadcast')
    const { open } = await opener(cleanup)
    const channel = createChannel()
    for (let i = 0; i < 3; i++) channel.subscribe((await open()).stream)
    const event = encodeEvent({ data: 'to all' })
    const tally = await channel.broadcast(event)
    expect(tally).toMatchObject({ sent: 3 })
    expect(broadcasts).toEqual([
      { channel, result: tally, bytes: event.bytes.length, took: expect.any(Number) },
    ])
    expect(broadcasts[0]?.took).toBeLessThan(1_000)
  })

  it('tell what a guard has ended', async () => {
    const closes = hear('tcp-sse:guard:close')
    const server = http.createServer((_req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    })
    guardServer(server, { detectWithin: 4_000, maxAge: 1_000 })
    const port = await listen(server)
    http.get({ port, host: '127.0.0.1', agent: false }, (res) => res.resume())
    const [first] = await waitFor('a close', () => closes.length > 0 && closes)
    expect(first?.server).toBe(server)
    expect(first?.info.reason).toBe('expired')
  })

  it('keep the streams going when a subscriber throws', async () => {
    const problem = new Error('of a subscriber')
    const raised: Error[] = []
    // Vitest has its own listener, which would fail the run.
    const others = process.rawListeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => void raised.push(error))
    const throwing = (): never => {
      throw problem
    }
    subscribe('tcp-sse:stream:open', throwing)
    subscribe('tcp-sse:stream:close', throwing)
    try {
      const opens = hear('tcp-sse:stream:open')
      const { open } = await opener(cleanup)
      const { stream, received } = await open()
      expect(stream.send({ data: 'all the same' })).toBe('sent')
      await waitFor('the event', () => received().includes('data: all the same'))
      expect((await stream.close()).reason).toBe('ended')
      expect(opens).toHaveLength(1)
      await waitFor('the errors', () => raised.length === 2)
      expect(raised).toEqual([problem, problem])
    } finally {
      unsubscribe('tcp-sse:stream:open', throwing)
      unsubscribe('tcp-sse:stream:close', throwing)
      process.removeAllListeners('uncaughtException')
      for (const each of others) process.on('uncaughtException', each as () => void)
    }
  })
})
