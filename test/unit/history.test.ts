import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MemoryHistory } from '../../src/index.js'
import { EncodedEvent } from '../../src/sse/encode.js'

const event = (id: string | undefined, size = 10): EncodedEvent =>
  new EncodedEvent(Buffer.alloc(size), id)
const ids = (events: readonly EncodedEvent[]): (string | undefined)[] => events.map(({ id }) => id)

describe('MemoryHistory', () => {
  it('returns the events after an id, without events that have none', () => {
    const history = new MemoryHistory()
    for (const id of ['a', undefined, 'b', '', undefined]) history.append(event(id))
    expect(history.since('a').outcome).toBe('complete')
    expect(ids(history.since('a').events)).toEqual(['b'])
    expect(history.since('b').events).toEqual([])
    expect(history.size).toBe(2)
  })

  it('knows a forgotten id from one that never was', () => {
    const history = new MemoryHistory({ maxEvents: 2 })
    for (const id of ['a', 'b', 'c', 'd']) history.append(event(id))
    expect(history.since('a')).toMatchObject({ outcome: 'partial' })
    expect(ids(history.since('a').events)).toEqual(['c', 'd'])
    expect(history.since('zzz')).toEqual({ outcome: 'unknown', events: [] })
    // Of forgotten ids no more are remembered than of events.
    for (const id of ['e', 'f']) history.append(event(id))
    expect(history.since('a').outcome).toBe('unknown')
  })

  it('forgets by age', () => {
    let now = 0
    const history = new MemoryHistory({ maxAge: 100 }, { now: () => now })
    history.append(event('a'))
    now = 60
    history.append(event('b'))
    now = 120
    expect(ids(history.since('a').events)).toEqual(['b'])
    now = 1_000
    expect(history.since('a')).toMatchObject({ outcome: 'partial', events: [] })
    expect(history.since('b')).toMatchObject({ outcome: 'complete', events: [] })
    expect([history.size, history.bytes]).toEqual([0, 0])
  })

  it('is complete where only the event that the client has is forgotten, by any limit', () => {
    const byNumber = new MemoryHistory({ maxEvents: 3 })
    for (const id of ['1', '2', '3', '4']) byNumber.append(event(id))
    expect(byNumber.since('1').outcome).toBe('complete')
    expect(ids(byNumber.since('1').events)).toEqual(['2', '3', '4'])
    byNumber.append(event('5'))
    expect(byNumber.since('1').outcome).toBe('partial')

    let now = 0
    const byAge = new MemoryHistory({ maxAge: 100 }, { now: () => now })
    byAge.append(event('a'))
    now = 1_000
    expect(byAge.since('a')).toEqual({ outcome: 'complete', events: [] })

    const byBytes = new MemoryHistory({ maxBytes: 5 })
    byBytes.append(event('large'))
    expect(byBytes.since('large')).toEqual({ outcome: 'complete', events: [] })
    byBytes.append(event('larger'))
    expect(byBytes.since('large').outcome).toBe('partial')
    expect(byBytes.since('larger').outcome).toBe('complete')
  })

  it('takes the latest of two events with the same id', () => {
    const history = new MemoryHistory()
    for (const id of ['a', 'b', 'a', 'c']) history.append(event(id))
    expect(ids(history.since('a').events)).toEqual(['c'])
  })

  it('an answer does not change with later events', () => {
    const history = new MemoryHistory({ maxEvents: 2 })
    for (const id of ['a', 'b']) history.append(event(id))
    const { events } = history.since('a')
    for (const id of ['c', 'd', 'e']) history.append(event(id))
    expect(ids(events)).toEqual(['b'])
  })

  it('agrees with a list that is cut at its limits', () => {
    const step = fc.record({
      id: fc.integer({ min: 0, max: 30 }),
      size: fc.integer({ min: 1, max: 50 }),
    })
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 200 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 20, max: 300 }),
        (steps, maxEvents, maxBytes) => {
          const history = new MemoryHistory({ maxEvents, maxBytes })
          const all: EncodedEvent[] = []
          for (const { id, size } of steps) {
            const each = event(String(id), size)
            all.push(each)
            history.append(each)
            let kept = all.slice(-maxEvents)
            while (kept.reduce((sum, { bytes }) => sum + bytes.length, 0) > maxBytes)
              kept = kept.slice(1)
            expect([history.size, history.bytes]).toEqual([
              kept.length,
              kept.reduce((sum, { bytes }) => sum + bytes.length, 0),
            ])
            for (const { id: wanted = '' } of kept) {
              const from = kept.findLastIndex((one) => one.id === wanted)
              expect(history.since(wanted).events).toEqual(kept.slice(from + 1))
            }
            for (const wanted of new Set(all.map((one) => one.id))) {
              const missed = all.slice(all.findLastIndex((one) => one.id === wanted) + 1)
              const { outcome, events } = history.since(wanted ?? '')
              if (outcome === 'complete') expect(events).toEqual(missed)
              if (outcome !== 'partial') continue
              expect(events).toEqual(kept)
              expect(missed.length).toBeGreaterThan(kept.length)
            }
          }
        },
      ),
      { numRuns: 50 },
    )
  })

  it('refuses bad limits', () => {
    expect(() => new MemoryHistory({ maxEvents: 0 })).toThrow(
      expect.objectContaining({ code: 'ERR_OPTION_VALUE' }),
    )
    expect(() => new MemoryHistory({ maxevents: 5 } as never)).toThrow(/maxEvents/)
  })
})
