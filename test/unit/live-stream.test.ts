// A stream on a clock of the test's own: what it does by time, and how long it says that it was open.
import { describe, expect, it } from 'vitest'
import { LiveStream } from '../../src/stream/live-stream.js'
import { streamSettings } from '../../src/stream/options.js'
import { FakeClock } from '../support/fake-clock.js'
import { MemoryTransport } from '../support/memory-transport.js'

function open(options = {}) {
  const clock = new FakeClock()
  clock.time = 1_000.7
  const transport = new MemoryTransport()
  const stream = new LiveStream(transport, streamSettings(options), '', undefined, clock)
  const sample = (at: number, stalledFor = 0): number => {
    clock.run(at)
    return stream.onSample(at, stalledFor, 'alive', at)
  }
  return { clock, transport, stream, sample }
}

describe('a stream', () => {
  it('says for how long it was open', async () => {
    const { clock, stream } = open()
    clock.run(61_000)
    const { reason, openedFor } = await stream.close()
    expect([reason, openedFor]).toEqual(['ended', 60_000])
  })

  it('sends a heartbeat after a pause without traffic, and none before', () => {
    const { stream, transport, sample } = open({ heartbeat: 10_000 })
    stream.send({ data: 'x' })
    sample(5_000)
    const before = transport.text
    sample(14_999)
    expect(transport.text).toBe(before)
    sample(15_001)
    expect(transport.text).toBe(`${before}: \n\n`)
    stream.abort()
  })

  it('gives up a client that takes nothing for its stallTimeout, by what its transport says', async () => {
    const { stream, transport, sample } = open({ stallTimeout: 5_000 })
    transport.sample = () => 4_999
    sample(10_000)
    expect(stream.state).toBe('open')
    transport.sample = () => 5_000
    sample(10_001)
    expect(await stream.closed).toMatchObject({ reason: 'stalled', openedFor: 9_001 })
  })

  it('asks for no sample at a response that is gone', () => {
    const { stream, transport, sample } = open()
    Object.assign(transport, { sample: () => undefined })
    expect(sample(2_000)).toBe(Number.POSITIVE_INFINITY)
    stream.abort()
  })
})
