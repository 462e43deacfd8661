import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { onAbort } from '../../src/internal/abort.js'
import type { Clock } from '../../src/internal/clock.js'
import { Deferred } from '../../src/internal/deferred.js'
import { Poll } from '../../src/internal/poll.js'
import { DeliveryLog, type DeliveryOutcome, TRACKED_EVENTS } from '../../src/stream/delivery-log.js'
import { BroadcastPage, PAGE } from '../../src/transport/fast/broadcast-page.js'

describe('DeliveryLog', () => {
  it('knows what a list of all events would know', () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('record' as const),
        size: fc.integer({ min: 1, max: 50 }),
        id: fc.boolean(),
      }),
      fc.record({
        kind: fc.constant('range' as const),
        sizes: fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 6 }),
      }),
      fc.record({
        kind: fc.constant('acknowledge' as const),
        upTo: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const log = new DeliveryLog()
        const all: { id: string | undefined; end: number }[] = []
        let acknowledged = 0
        let page = new BroadcastPage()
        for (const each of steps) {
          const last = all.at(-1)?.end ?? 0
          if (each.kind === 'range') {
            if (page.length > PAGE - 10) page = new BroadcastPage()
            const first = page.length
            const base = last - page.end(first)
            for (const size of each.sizes) {
              const id = size % 2 === 0 ? String(all.length) : undefined
              page.add({ bytes: Buffer.alloc(size), id })
              all.push({ id, end: base + page.end(page.length) })
            }
            log.recordRange(page, first, page.length, base)
          } else if (each.kind === 'record') {
            const id = each.id ? String(all.length) : undefined
            all.push({ id, end: last + each.size })
            log.record(id, last + each.size)
          } else {
            acknowledged = Math.max(acknowledged, Math.floor(each.upTo * last))
            log.acknowledge(acknowledged)
          }
          const there = all.filter(({ end }) => end <= acknowledged)
          const missing = all.filter(({ end }) => end > acknowledged)
          expect([log.recorded, log.delivered]).toEqual([all.length, there.length])
          expect(log.lastId).toBe(there.findLast(({ id }) => id !== undefined)?.id)
          expect(log.undeliveredIds()).toEqual(missing.flatMap(({ id }) => id ?? []))
          expect(log.overflowed).toBe(false)
        }
      }),
    )
  })

  it('beyond its size forgets the oldest, towards not delivered', () => {
    const log = new DeliveryLog()
    const count = TRACKED_EVENTS + 10
    for (let n = 1; n <= count; n++) log.record(String(n), n * 10)
    expect([log.overflowed, log.undeliveredIds().length]).toEqual([true, TRACKED_EVENTS])
    expect(log.undeliveredIds()[0]).toBe('11')
    for (let offset = 0; offset <= count * 10; offset += 35) {
      log.acknowledge(offset)
      expect(log.delivered).toBeLessThanOrEqual(Math.floor(offset / 10))
    }
    log.acknowledge(count * 10)
    expect([log.delivered, log.lastId, log.overflowed]).toEqual([count, String(count), false])
  })

  it('beyond its size is exact for remembered events, and reports the others as unknown', async () => {
    const log = new DeliveryLog()
    const tickets = Array.from({ length: 10_000 }, () => new Deferred<DeliveryOutcome>())
    tickets.forEach((confirmation, index) => {
      log.record(String(index), (index + 1) * 10, confirmation)
    })
    log.acknowledge((10_000 - TRACKED_EVENTS) * 10 - 1)
    expect([log.delivered, log.lastId, log.overflowed]).toEqual([0, undefined, true])
    log.acknowledge(70_010)
    expect([log.delivered, log.lastId, log.overflowed]).toEqual([7_001, '7000', false])
    expect(log.undeliveredIds()[0]).toBe('7001')
    log.acknowledge(85_000)
    expect([log.delivered, log.lastId]).toEqual([8_500, '8499'])
    log.settleAll('undelivered')
    const outcomes = await Promise.all(tickets.map(({ promise }) => promise))
    const forgotten = 10_000 - TRACKED_EVENTS
    expect(outcomes.lastIndexOf('unknown')).toBe(forgotten - 1)
    expect(outcomes.indexOf('delivered')).toBe(forgotten)
    expect(outcomes.indexOf('undelivered')).toBe(8_500)
  })

  it('settles each confirmation once, with what became of the event', async () => {
    const log = new DeliveryLog()
    const tickets = [1, 2, 3].map(() => new Deferred<DeliveryOutcome>())
    tickets.forEach((confirmation, index) => {
      log.record(String(index), index + 1, confirmation)
    })
    expect(log.awaited).toBe(true)
    log.acknowledge(2)
    const found = log.find('2')
    expect(found).toBe(tickets[2])
    expect(await log.find('0')?.promise).toBe('delivered')
    expect(log.find('nobody')).toBeUndefined()
    log.settleAll('undelivered')
    expect(await Promise.all(tickets.map(({ promise }) => promise))).toEqual([
      'delivered',
      'delivered',
      'undelivered',
    ])
    expect(log.awaited).toBe(false)
  })
})

describe('a range of broadcasts', () => {
  const page = new BroadcastPage()
  for (let n = 0; n < 100; n++) {
    page.add({ bytes: Buffer.alloc(10), id: String(n) })
  }

  it('takes the room of one event, however often it grows, acknowledged in between or not', async () => {
    const log = new DeliveryLog()
    for (let n = 0; n < 100; n++) {
      log.recordRange(page, n, n + 1, 1_000)
      if (n % 3 === 0) log.acknowledge(1_000 + page.end(n))
      expect(log.full).toBe(false)
    }
    expect([log.recorded, log.delivered, log.lastId]).toEqual([100, 99, '98'])
    expect(log.undeliveredIds()).toEqual(['99'])
    const last = log.find('99')
    expect(await log.find('42')?.promise).toBe('delivered')
    log.acknowledge(1_000 + page.end(100))
    expect(await last?.promise).toBe('delivered')
    expect(log.awaited).toBe(false)
  })

  it('is acknowledged in part, event by event', () => {
    const log = new DeliveryLog()
    log.record('own', 500)
    log.recordRange(page, 20, 30, 500 - page.end(20))
    log.record('after', 700)
    for (let events = 0; events <= 10; events++) {
      log.acknowledge(500 + page.end(20 + events) - page.end(20))
      expect(log.delivered).toBe(1 + events)
      log.acknowledge(500 + page.end(20 + events) - page.end(20) + 1)
      expect(log.delivered).toBe(1 + events)
    }
    expect([log.lastId, log.undeliveredIds()]).toEqual(['29', ['after']])
  })

  it('counts with all its events when it is forgotten', async () => {
    const log = new DeliveryLog()
    log.recordRange(page, 0, 50, 0)
    const early = log.find('7')
    const from = page.end(50)
    for (let n = 0; n < TRACKED_EVENTS; n++) log.record(`own ${n}`, from + n + 1)
    expect(await early?.promise).toBe('unknown')
    expect([log.recorded, log.delivered, log.overflowed]).toEqual([TRACKED_EVENTS + 50, 0, true])
    log.acknowledge(from - 1)
    expect(log.delivered).toBe(0)
    log.acknowledge(from + 5)
    expect([log.delivered, log.lastId, log.overflowed]).toEqual([55, 'own 4', false])
  })
})

describe('Poll', () => {
  it('asks soon and then less and less often, until it is stopped', () => {
    let time = 0
    let next: { at: number; callback: () => void } | undefined
    const clock: Clock = {
      now: () => time,
      after(ms, callback) {
        next = { at: time + ms, callback }
        return () => {
          next = undefined
        }
      },
    }
    const asked: number[] = []
    const poll = new Poll(clock, 100, () => {
      asked.push(time)
      return asked.length < 9
    })
    poll.start()
    while (next !== undefined) {
      const { at, callback } = next
      next = undefined
      time = at
      callback()
    }
    expect(asked).toEqual([4, 12, 28, 60, 124, 224, 324, 424, 524])
    poll.start()
    poll.stop()
    expect(next).toBeUndefined()
  })
})

describe('onAbort', () => {
  it('puts one listener on a signal, however many want to know, and takes it away with the last', async () => {
    const warnings: Error[] = []
    const note = (warning: Error): void => void warnings.push(warning)
    process.on('warning', note)
    const controller = new AbortController()
    let added = 0
    let removed = 0
    const { signal } = controller
    const { addEventListener, removeEventListener } = signal
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      added += 1
      addEventListener.apply(signal, args)
    }
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      removed += 1
      removeEventListener.apply(signal, args)
    }
    let called = 0
    const undo = Array.from({ length: 1_000 }, () => onAbort(signal, () => (called += 1)))
    for (const each of undo.slice(1)) each()
    expect([added, removed]).toEqual([1, 0])
    undo[0]?.()
    expect([added, removed]).toEqual([1, 1])
    onAbort(signal, () => (called += 1))
    onAbort(signal, () => (called += 1))
    controller.abort()
    expect([called, added, removed]).toEqual([2, 2, 2])
    await new Promise(setImmediate)
    process.off('warning', note)
    expect(warnings).toEqual([])
  })
})
