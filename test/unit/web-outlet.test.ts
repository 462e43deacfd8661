// What a web response's outlet makes of the response below it, told by hand.
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/internal/clock.js'
import type { AnyNodeOutlet } from '../../src/transport/node-transport.js'
import { WebOutlet } from '../../src/transport/web.js'

class Below {
  readonly socket = undefined
  readonly multiplexed = false
  readonly writable = true
  readonly closed = false
  pending = 0
  progress = 0
  isDrained = (): boolean => true
  stalledFor = (_now: number, connection: number): number => connection
  noteProgress(): void {
    this.progress += 1
  }
}

function over(below: Below) {
  const outlet = new WebOutlet(below as unknown as AnyNodeOutlet, {
    highWaterMark: 100,
    signal: new AbortController().signal,
    headOnly: false,
  })
  const reader = (outlet.body as ReadableStream<Uint8Array>).getReader()
  // What goes with the head; tests are about what follows.
  void reader.read()
  return { outlet, reader }
}

const bytes = Buffer.alloc(200)

describe('WebOutlet over a response of Node’s', () => {
  it('is not drained while bytes wait, nor at the first question after they were read out', async () => {
    const { outlet, reader } = over(new Below())
    outlet.write(bytes)
    expect(outlet.isDrained()).toBe(false)
    expect(outlet.isDrained()).toBe(false)
    await reader.read()
    expect(outlet.isDrained()).toBe(false)
    expect(outlet.isDrained()).toBe(true)
  })

  it('hands a chunk to a reader that waits without being drained by that', () => {
    const { outlet, reader } = over(new Below())
    void reader.read()
    expect(outlet.write(bytes)).toBe(true)
    expect(outlet.isDrained()).toBe(false)
  })

  it('blames nobody for not reading while the response below is full: that one knows', () => {
    const below = new Below()
    const { outlet } = over(below)
    outlet.write(bytes)
    below.pending = 1
    const now = systemClock.now() + 60_000
    expect(outlet.stalledFor(now, 0)).toBe(0)
    expect(outlet.stalledFor(now + 100, 500)).toBe(500)
    below.pending = 0
    expect(outlet.stalledFor(now + 1_100, 0)).toBe(0)
    expect(outlet.stalledFor(now + 2_100, 0)).toBe(1_000)
  })

  it('tells the response below of a reader that goes on', async () => {
    const below = new Below()
    const { outlet, reader } = over(below)
    const now = systemClock.now()
    outlet.write(bytes)
    outlet.stalledFor(now + 10_000, 0)
    const before = below.progress
    expect(outlet.stalledFor(now + 15_000, 0)).toBeGreaterThan(0)
    expect(below.progress).toBe(before)
    await reader.read()
    expect(outlet.stalledFor(now + 20_000, 0)).toBe(0)
    expect(below.progress).toBe(before + 1)
  })
})
