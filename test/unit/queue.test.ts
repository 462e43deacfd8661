import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EncodedEvent, encodeComment } from '../../src/sse/encode.js'
import { EventQueue, type OverflowPolicy } from '../../src/stream/queue.js'

const event = (id: string, size = 10, key?: string): EncodedEvent =>
  new EncodedEvent(Buffer.alloc(size), id, key)
const queue = (onOverflow: OverflowPolicy, maxBufferedBytes = 30): EventQueue =>
  new EventQueue({ maxBufferedBytes, maxBufferedEvents: 100, onOverflow })
const ids = (q: EventQueue): (string | undefined)[] => [...q.events()].map(({ id }) => id)

describe('EventQueue', () => {
  it('reports overflow and leaves the event out', () => {
    const q = queue('close')
    expect(['a', 'b', 'c', 'd'].map((id) => q.push(event(id)))).toEqual([
      'queued',
      'queued',
      'queued',
      'overflow',
    ])
    expect(ids(q)).toEqual(['a', 'b', 'c'])
  })
  it('drops the oldest', () => {
    const q = queue('drop-oldest')
    for (const id of ['a', 'b', 'c', 'd']) expect(q.push(event(id))).toBe('queued')
    expect([q.droppedEvents, q.droppedBytes]).toEqual([1, 10])
    expect(ids(q)).toEqual(['b', 'c', 'd'])
  })
  it.each(['drop-oldest', 'drop-newest'] as const)(
    'counts no comment among the events: %s',
    (policy) => {
      const q = queue(policy)
      const comment = (): EncodedEvent => encodeComment('x'.repeat(6))
      for (let n = 0; n < 3; n++) q.push(comment())
      for (let n = 0; n < 3; n++) q.push(event(String(n)))
      q.push(comment())
      const all = [q.droppedEvents, q.droppedBytes]
      expect(all).toEqual(policy === 'drop-oldest' ? [1, 10] : [3, 30])
    },
  )
  it('keeps what waits when an event could never fit beside it', () => {
    const q = queue('drop-oldest')
    q.push(event('a'))
    expect(q.push(event('huge', 31))).toBe('dropped')
    expect(ids(q)).toEqual(['a'])
  })
  for (const policy of ['close', 'drop-oldest', 'drop-newest', 'coalesce'] as const) {
    it(`takes an event of any size when nothing waits, and none beside it: ${policy}`, () => {
      const q = queue(policy)
      expect(q.push(event('huge', 3_000))).toBe('queued')
      expect(ids(q)).toEqual(['huge'])
      expect(q.push(event('late'))).toBe(
        {
          close: 'overflow',
          coalesce: 'overflow',
          'drop-oldest': 'queued',
          'drop-newest': 'dropped',
        }[policy],
      )
    })
  }
  it('drops the newest', () => {
    const q = queue('drop-newest')
    for (const id of ['a', 'b', 'c']) q.push(event(id))
    expect(q.push(event('d'))).toBe('dropped')
    expect(ids(q)).toEqual(['a', 'b', 'c'])
  })
  it('coalesces by key, newest kept, in order', () => {
    const q = queue('coalesce')
    q.push(event('a1', 10, 'a'))
    q.push(event('b1', 10, 'b'))
    q.push(event('a2', 10, 'a'))
    expect(q.push(event('b2', 10, 'b'))).toBe('queued')
    expect(ids(q)).toEqual(['b1', 'a2', 'b2'])
    expect(q.droppedEvents).toBe(1)
  })
  it('never holds more than its limit or one event, and loses nothing without counting it', () => {
    const policy = fc.constantFrom<OverflowPolicy>(
      'close',
      'drop-oldest',
      'drop-newest',
      'coalesce',
    )
    const step = fc.record({
      size: fc.integer({ min: 1, max: 90 }),
      key: fc.option(fc.constantFrom('a', 'b'), { nil: undefined }),
      take: fc.boolean(),
    })
    fc.assert(
      fc.property(policy, fc.array(step), (onOverflow, steps) => {
        const q = queue(onOverflow, 60)
        let pushed = 0
        let out = 0
        for (const { size, key, take } of steps) {
          if (take) out += q.shift() === undefined ? 0 : 1
          else pushed += q.push(event('x', size, key)) === 'overflow' ? 0 : 1
          if (q.length > 1) expect(q.bytes).toBeLessThanOrEqual(60)
        }
        expect(pushed).toBe(out + q.length + q.droppedEvents)
      }),
    )
  })
})
