// What a web response's outlet makes of the response below it, told by hand.
import { describe, expect, it } from 'vitest'
import type { AnyNodeOutlet } from '../../src/transport/node-transport.js'
import { WebOutlet } from '../../src/transport/web.js'

/** A response whose bytes have all left, on a connection that takes nothing from now on unless it hears of progress. */
class Below {
  readonly socket = undefined
  readonly multiplexed = false
  readonly writable = true
  readonly closed = false
  pending = 0
  #movedAt = 0
  #moved = true

  isDrained = (): boolean => true

  stalledFor(now: number, connection: number): number {
    if (this.#moved) this.#movedAt = now
    this.#moved = false
    return this.pending > 0 ? connection : now - this.#movedAt
  }

  noteProgress(): void {
    this.#moved = true
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
    const now = 60_000
    expect(outlet.stalledFor(now, 0)).toBe(0)
    expect(outlet.stalledFor(now + 100, 500)).toBe(500)
  })

  it('counts from when the response below has room again, and begins anew when its reader goes on', async () => {
    const below = new Below()
    const { outlet, reader } = over(below)
    const now = 1_000
    outlet.write(bytes)
    below.pending = 1
    expect(outlet.stalledFor(now + 10_000, 0)).toBe(0)
    below.pending = 0
    below.noteProgress()
    expect(outlet.stalledFor(now + 11_000, 0)).toBe(0)
    expect(outlet.stalledFor(now + 15_000, 0)).toBe(4_000)
    await reader.read()
    // The response below would say 9 s if it had not been told.
    expect(outlet.stalledFor(now + 20_000, 0)).toBe(0)
  })
})
