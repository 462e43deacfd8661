// What a web response's transport makes of the response below it, told by hand.
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/internal/clock.js'
import type { AnyNodeTransport } from '../../src/transport/node-transport.js'
import type { TransportSample } from '../../src/transport/transport.js'
import { WebTransport } from '../../src/transport/web.js'

class Below {
  readonly socket = undefined
  readonly multiplexed = false
  readonly writable = true
  readonly over = undefined
  buffered = 0
  progress = 0
  readonly ledger = { isAcknowledged: (): boolean => true }
  sample = ({ stalledFor }: TransportSample): number => stalledFor
  noteProgress(): void {
    this.progress += 1
  }
}

function over(below: Below) {
  const transport = new WebTransport(below as unknown as AnyNodeTransport, {
    highWaterMark: 100,
    signal: new AbortController().signal,
    headOnly: false,
  })
  const reader = (transport.body as ReadableStream<Uint8Array>).getReader()
  // What goes with the head; tests are about what follows.
  void reader.read()
  return { transport, reader }
}

const bytes = Buffer.alloc(200)

const stalledFor = (transport: WebTransport, loopTime: number, stalledFor: number) =>
  transport.sample({ loopTime, stalledFor, discardBody: false })

describe("WebTransport over a response of Node's", () => {
  it('is not drained while bytes wait, nor at the first question after they were read out', async () => {
    const { transport, reader } = over(new Below())
    transport.write(bytes)
    expect(transport.isAcknowledged()).toBe(false)
    expect(transport.isAcknowledged()).toBe(false)
    await reader.read()
    expect(transport.isAcknowledged()).toBe(false)
    expect(transport.isAcknowledged()).toBe(true)
  })

  it('hands a chunk to a reader that waits without being drained by that', () => {
    const { transport, reader } = over(new Below())
    void reader.read()
    expect(transport.write(bytes)).toBe(true)
    expect(transport.isAcknowledged()).toBe(false)
  })

  it('reports no stall of the reader while the response below is full, because that one knows its client', () => {
    const below = new Below()
    const { transport } = over(below)
    transport.write(bytes)
    below.buffered = 1
    const now = systemClock.now() + 60_000
    expect(stalledFor(transport, now, 0)).toBe(0)
    expect(stalledFor(transport, now + 100, 500)).toBe(500)
    below.buffered = 0
    expect(stalledFor(transport, now + 1_100, 0)).toBe(0)
    expect(stalledFor(transport, now + 2_100, 0)).toBe(1_000)
  })

  it('informs the response below of a reader that continues', async () => {
    const below = new Below()
    const { transport, reader } = over(below)
    const now = systemClock.now()
    transport.write(bytes)
    stalledFor(transport, now + 10_000, 0)
    const before = below.progress
    expect(stalledFor(transport, now + 15_000, 0)).toBeGreaterThan(0)
    expect(below.progress).toBe(before)
    await reader.read()
    expect(stalledFor(transport, now + 20_000, 0)).toBe(0)
    expect(below.progress).toBe(before + 1)
  })
})
