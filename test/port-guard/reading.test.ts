// Since when a silence counts on a connection that others write to, and which of its options are set when.
import { describe, expect, it } from 'vitest'
import { retransmitMaxFor } from '../../src/liveness/kernel-clocks.js'
import { observe } from '../../src/liveness/observe.js'
import { judge } from '../../src/liveness/verdict.js'
import { LONGEST_RETRANSMIT_MAX } from '../../src/native/kernel-defaults.js'
import type { Arming } from '../../src/port-guard/arming.js'
import { Connection, type Connections } from '../../src/port-guard/connections.js'
import { OutsideKernel } from '../../src/port-guard/kernel.js'
import { portGuardSettings } from '../../src/port-guard/options.js'
import { readRow } from '../../src/port-guard/reading.js'
import type { KernelSettings } from '../../src/tcp/kernel-settings.js'
import { type Numbers, numberOf, observed, readings, write } from '../support/readings.js'

const { armedPlan, plainPlan } = portGuardSettings({ port: 80, detectWithin: 10_000 })
/** Keepalive's idle time in the plan, ms. */
const IDLE = 2_000
const connection = (firstSeen = 0, unseenAt = firstSeen): Connection =>
  new Connection(new Uint32Array(14), 1, { firstSeen, unseenAt }, 0, 1)

/** Looks at a connection, each with what the kernel tells then; times in ms. */
function looker(of: Connection): (now: number, numbers: Numbers) => number {
  return (now, numbers) => {
    const start = readings.allocate()
    const told: Numbers = { state: 1, rto: 201, rtt: 0.1, rttVariation: 0.05, sendWindow: 65_536 }
    write(readings, start, {
      ...{ unackedSegments: 0, unsent: 0, probes: 0, retransmits: 0, lastDataSent: 0 },
      ...{ lastAckReceived: 0, lastDataReceived: 0, totalRetransmits: 0, dataSegmentsSent: 0 },
      ...{ windowLimited: 0, minRtt: 0, lost: 0, bytesAcked: 0 },
      ...told,
      ...numbers,
    })
    readRow(of, readings, start, now, IDLE)
    return start
  }
}

/** The same, as the first sample. */
function answeredAt(start: number, now: number): number {
  observe(readings, undefined, start, plainPlan, now)
  return numberOf(start, 'answeredAt')
}

describe('a silence on a connection that was quiet for an hour', () => {
  const HOUR = 3_600_000

  /** The verdict of a sample each `urgentPace` from the first write on, nothing of which is answered. */
  function deadAfter(
    of: Connection,
    plan: typeof armedPlan,
    unanswered: 'write' | 'probe',
  ): number {
    const sample = looker(of)
    let previous: number | undefined
    for (let at = HOUR; at < HOUR + 30_000; at += plan.urgentPace) {
      const since = at - HOUR
      // Timeouts after 0.2, 0.6, 1.4, 3 s and so on.
      const retransmits = Math.floor(Math.log2(since / 200 + 1))
      const lastSent = since - 200 * (2 ** retransmits - 1)
      const quiet = { lastAckReceived: at, lastDataReceived: at, lastDataSent: lastSent }
      const written = { unackedSegments: 1, outq: 10, retransmits, rto: 200 * 2 ** retransmits }
      const asked = unanswered === 'write' ? written : { probes: 1 + Math.floor(since / 1_000) }
      const current = sample(at, { ...quiet, ...asked })
      observe(readings, previous, current, plan, at)
      if (judge(readings, previous, current, plan, at) === 'dead') return since
      previous = current
    }
    return Number.POSITIVE_INFINITY
  }

  it('counts from the unanswered write if it is not armed, as if keepalive had probed then', () => {
    const after = deadAfter(connection(), plainPlan, 'write')
    expect(after).toBeGreaterThan(plainPlan.silence - IDLE - plainPlan.urgentPace)
    expect(after).toBeLessThanOrEqual(plainPlan.silence - IDLE + 2 * plainPlan.urgentPace)
  })

  it("counts so with a probe of the server's own keepalive, too", () => {
    const after = deadAfter(connection(), plainPlan, 'probe')
    expect(after).toBeGreaterThanOrEqual(plainPlan.silence - IDLE)
    expect(after).toBeLessThanOrEqual(plainPlan.silence - IDLE + 2 * plainPlan.urgentPace)
  })

  it('counts from the moment of arming, where that was now', () => {
    const armed = connection()
    armed.armed = true
    armed.silenceCountsFrom = HOUR
    const after = deadAfter(armed, armedPlan, 'probe')
    expect(after).toBeGreaterThan(armedPlan.silence - armedPlan.urgentPace)
    expect(after).toBeLessThanOrEqual(armedPlan.silence + 2 * armedPlan.urgentPace)
  })

  it('does not count from later than the write, if the kernel has sent a loss probe before its first timeout', () => {
    const sample = looker(connection())
    // Written at 100 000, probed at 100 200, sent again at 100 400; seen at 100 650.
    const late = { lastAckReceived: 90_000, lastDataReceived: 90_000, lastDataSent: 250 }
    const seen = sample(100_650, { unackedSegments: 1, retransmits: 1, rto: 400, ...late })
    expect(answeredAt(seen, 100_650)).toBeLessThanOrEqual(100_000 - IDLE)
    expect(answeredAt(seen, 100_650)).toBeGreaterThanOrEqual(100_000 - 400 - IDLE)
  })

  it('counts from the first sight, where the guard came later than the write', () => {
    const sample = looker(connection(50_000))
    const first = { unackedSegments: 1, lastDataSent: 20_000, retransmits: 7, rto: 25_600 }
    const seen = sample(50_000, { ...first, lastAckReceived: 45_000, lastDataReceived: 45_000 })
    expect(answeredAt(seen, 50_000)).toBe(50_000)
  })

  it('counts from before the first sight, if a dump before that did not have the connection yet', () => {
    const sample = looker(connection(50_000, 49_000))
    const first = { unackedSegments: 1, lastDataSent: 300, rto: 201 }
    const seen = sample(50_000, { ...first, lastAckReceived: 600, lastDataReceived: 600 })
    expect(answeredAt(seen, 50_000)).toBe(49_400)
  })

  it('counts from the probe, where keepalive asks nothing behind a shut window', () => {
    const one = connection()
    one.armed = true
    const sample = looker(one)
    const shut = { unsent: 9_000, sendWindow: 0, lastDataReceived: 1e9 }
    sample(101_000, { ...shut, lastAckReceived: 1_000 })
    // The next probe is sent after 25 s, and goes unanswered.
    const asked = sample(125_500, { ...shut, lastAckReceived: 25_500, probes: 1 })
    expect(answeredAt(asked, 125_500)).toBe(125_500 - 3 * IDLE)
    const later = sample(127_500, { ...shut, lastAckReceived: 27_500, probes: 3 })
    expect(answeredAt(later, 127_500)).toBe(125_500 - 3 * IDLE)
  })

  it('counts anew after an answer, and from the answer where keepalive has asked since', () => {
    for (const armed of [false, true]) {
      const one = connection()
      one.armed = armed
      const sample = looker(one)
      sample(10_000, { unackedSegments: 1, lastAckReceived: 9_000, lastDataReceived: 9_000 })
      // Answered at 12 s, and written to at 24 s: that has gone unanswered.
      const later = sample(25_000, {
        unackedSegments: 1,
        lastDataSent: 1_000,
        lastAckReceived: 13_000,
        lastDataReceived: 19_000,
      })
      const rto = 201
      expect(answeredAt(later, 25_000)).toBe(armed ? 12_000 : 24_000 - rto - IDLE)
    }
  })
})

describe('TCP_RTO_MAX_MS without TCP_USER_TIMEOUT', () => {
  const plan = { ...armedPlan, retransmitMax: 1_000 }
  const at = (numbers: Numbers): number =>
    retransmitMaxFor(readings, observed(undefined, numbers, plan, 0), plan, 1_000)

  it('is that of the kernel while data is in flight and nothing else waits for the window', () => {
    expect(at({ unackedSegments: 3, retransmits: 2 })).toBe(LONGEST_RETRANSMIT_MAX)
    expect(at({})).toBe(LONGEST_RETRANSMIT_MAX)
  })

  it('is short while the window is shut', () => {
    expect(at({ unsent: 1 })).toBe(1_000)
    expect(at({ unackedSegments: 1, sendWindow: 0 })).toBeLessThan(plan.silence / 2)
  })
})

describe('the kernel for connections of other processes', () => {
  function scene(arming = true): { kernel: OutsideKernel; set: unknown[][] } {
    const set: unknown[][] = []
    const recorder = {
      setOption: (_: Connections, __: Connection, option: string, value: number) =>
        void set.push([option, value]),
    } as unknown as Arming
    const all = { at: 0, size: 0 } as unknown as Connections
    const kernel = new OutsideKernel(
      all,
      () => {},
      () => 0,
      armedPlan,
      arming ? recorder : undefined,
    )
    return { kernel, set }
  }

  it('sets TCP_RTO_MAX_MS when another value is wanted, and puts the default back at the end', () => {
    const { kernel, set } = scene()
    const one = connection()
    const wanted = (value: number): KernelSettings => [['TCP_RTO_MAX_MS', value]]
    const keepAlive: KernelSettings = [['TCP_KEEPIDLE', 2]]
    const saved = kernel.exchange(one, [...keepAlive, ...wanted(LONGEST_RETRANSMIT_MAX)])
    expect(saved).toEqual(wanted(LONGEST_RETRANSMIT_MAX))
    kernel.set(one, saved)
    expect(set).toEqual([])
    kernel.set(one, wanted(1_000))
    kernel.set(one, wanted(1_000))
    kernel.set(one, saved)
    kernel.set(one, saved)
    expect(set).toEqual([
      ['TCP_RTO_MAX_MS', 1_000],
      ['TCP_RTO_MAX_MS', LONGEST_RETRANSMIT_MAX],
    ])
  })

  it('asks for a probe by setting the idle time anew', () => {
    const { kernel, set } = scene()
    kernel.set(connection(), [['TCP_KEEPIDLE', 2]])
    expect(set).toEqual([['TCP_KEEPIDLE', 2]])
  })

  it('sets nothing without arming', () => {
    const { kernel, set } = scene(false)
    kernel.set(connection(), [['TCP_KEEPIDLE', 2]])
    kernel.exchange(connection(), [['TCP_RTO_MAX_MS', 1_000]])
    expect(set).toEqual([])
  })
})
