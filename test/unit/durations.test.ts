// Durations are differences of one clock: however short, none is negative.
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Registry } from '../../src/dashboard/registry.js'
import { takeSample } from '../../src/dashboard/sample.js'
import { systemClock } from '../../src/internal/clock.js'
import { client } from '../support/memory-clients.js'

afterEach(() => void vi.restoreAllMocks())

/** Times within one millisecond, some above its half. */
const fractions = [0, 0.25, 0.499, 0.5, 0.501, 0.75, 0.999]

describe('a stream that ends within the millisecond of its beginning', () => {
  for (const fraction of fractions) {
    it(`was not open for less than no time, begun ${fraction} ms after a whole one`, async () => {
      vi.spyOn(systemClock, 'now').mockReturnValue(1_000 + fraction)
      const { stream } = client()
      stream.abort()
      expect((await stream.closed).openedFor).toBeGreaterThanOrEqual(0)
      expect((await stream.closed).openedFor).toBeLessThan(1)
    })

    it(`has its last traffic in the past, ${fraction} ms after a whole one`, () => {
      const now = 1_000 + fraction
      vi.spyOn(systemClock, 'now').mockReturnValue(now)
      const { stream } = client()
      stream.send({ data: 'x' })
      expect(now - stream.writer.lastTraffic(now)).toBeGreaterThanOrEqual(0)
      stream.abort()
    })
  }
})

it('the dashboard shows no negative age when the wall clock is set back', () => {
  const registry = new Registry(1, () => '')
  const wall = vi.spyOn(Date, 'now').mockReturnValue(10_000_000)
  const { stream } = client()
  wall.mockReturnValue(9_000_000)
  const [row] = takeSample(registry, 10, () => '').rows
  stream.abort()
  registry.close()
  expect(row?.age).toBeGreaterThanOrEqual(0)
})
