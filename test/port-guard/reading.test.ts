// Since when a silence counts on a connection that others write to, and which of its options are set when.
import { describe, expect, it } from 'vitest'
import { LONGEST_RETRANSMIT_MAX, retransmitMaxFor } from '../../src/liveness/kernel-clocks.js'
import { type Observation, Sight } from '../../src/liveness/observation.js'
import { observe } from '../../src/liveness/observe.js'
import { judge } from '../../src/liveness/verdict.js'
import { addon } from '../../src/native/binding.js'
import type { Arming } from '../../src/port-guard/arming.js'
import { Connection, type Connections } from '../../src/port-guard/connections.js'
import { OutsideKernel } from '../../src/port-guard/kernel.js'
import { portGuardSettings } from '../../src/port-guard/options.js'
import { readRow } from '../../src/port-guard/reading.js'
import { column } from '../../src/tcp/info.js'
import { sight } from '../support/sight.js'

const { armedPlan, plainPlan } = portGuardSettings({ port: 80, detectWithin: 10_000 })
/** Keepalive's idle time in the plan, ms. */
const IDLE = 2_000
const connection = (firstSeen = 0): Connection =>
  new Connection(new Uint32Array(14), 1, firstSeen, 0, 1)

type Numbers = Partial<Record<keyof typeof column, number>>

/** Looks at a connection, each with what the kernel tells then; times in ms. */
function looker(of: Connection): (now: number, numbers: Numbers) => Sight {
  return (now, numbers) => {
    const row = new Float64Array(Object.keys(column).length)
    const told: Numbers = { state: 1, rto: 201_000, rtt: 100, rttVariation: 50, sendWindow: 65_536 }
    for (const [name, value] of Object.entries({ ...told, ...numbers })) {
      row[column[name as keyof typeof column]] = value
    }
    const rows = { numbers: row, width: row.length }
    return readRow(of, { rows, index: 0, age: 0 }, new Sight(), now, IDLE)
  }
}

// Without the addon there are no columns, and no outside.
describe.skipIf(addon === undefined)('a silence on a connection that was quiet for an hour', () => {
  const HOUR = 3_600_000

  /** The verdict of a look each `urgentPace` from the first write on, nothing of which is answered. */
  function deadAfter(
    of: Connection,
    plan: typeof armedPlan,
    unanswered: 'write' | 'probe',
  ): number {
    const look = looker(of)
    let previous: Observation | undefined
    for (let at = HOUR; at < HOUR + 30_000; at += plan.urgentPace) {
      const since = at - HOUR
      // Timeouts after 0.2, 0.6, 1.4, 3 s and so on.
      const retransmits = Math.floor(Math.log2(since / 200 + 1))
      const lastSent = since - 200 * (2 ** retransmits - 1)
      const quiet = { lastAckReceived: at, lastDataReceived: at, lastDataSent: lastSent }
      const written = { unacked: 1, outq: 10, retransmits, rto: 200_000 * 2 ** retransmits }
      const asked = unanswered === 'write' ? written : { probes: 1 + Math.floor(since / 1_000) }
      const current = observe(previous, look(at, { ...quiet, ...asked }), plan, at)
      if (judge(previous, current, plan, at) === 'dead') return since
      previous = current
    }
    return Number.POSITIVE_INFINITY
  }

  it('counts as if keepalive had asked when the unanswered write did, where nobody has armed it', () => {
    const after = deadAfter(connection(), plainPlan, 'write')
    expect(after).toBeGreaterThan(plainPlan.silence - IDLE - plainPlan.urgentPace)
    expect(after).toBeLessThanOrEqual(plainPlan.silence - IDLE + 2 * plainPlan.urgentPace)
  })

  it('counts so with a probe of the server’s own keepalive, too', () => {
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

  it('counts from the first sight, where the guard came later than the write', () => {
    const look = looker(connection(50_000))
    const first = { unacked: 1, lastDataSent: 20_000, retransmits: 7, rto: 25_600_000 }
    const seen = look(50_000, { ...first, lastAckReceived: 45_000, lastDataReceived: 45_000 })
    expect(observe(undefined, seen, plainPlan, 50_000).answeredAt).toBe(50_000)
  })

  it('counts anew after an answer, and from the answer where keepalive has asked since', () => {
    for (const armed of [false, true]) {
      const one = connection()
      one.armed = armed
      const look = looker(one)
      look(10_000, { unacked: 1, lastAckReceived: 9_000, lastDataReceived: 9_000 })
      // Answered at 12 s, and written to at 24 s: that has gone unanswered.
      const later = look(25_000, {
        unacked: 1,
        lastDataSent: 1_000,
        lastAckReceived: 13_000,
        lastDataReceived: 19_000,
      })
      const { answeredAt } = observe(undefined, later, plainPlan, 25_000)
      expect(answeredAt).toBe(armed ? 12_000 : 24_000 - IDLE)
    }
  })
})

describe('TCP_RTO_MAX_MS without TCP_USER_TIMEOUT', () => {
  const plan = { ...armedPlan, retransmitMax: 1_000 }
  const at = (look: Partial<Sight>): number =>
    retransmitMaxFor(Object.assign(sight(look), { asked: 0 }), plan, 1_000)

  it('is the kernel’s own while data is in flight, and nothing else waits for the window', () => {
    expect(at({ unacked: 3, retransmits: 2 })).toBe(LONGEST_RETRANSMIT_MAX)
    expect(at({})).toBe(LONGEST_RETRANSMIT_MAX)
  })

  it('is short while the window is shut', () => {
    expect(at({ unsent: 1 })).toBe(1_000)
    expect(at({ unacked: 1, sendWindow: 0 })).toBeLessThan(plan.silence / 2)
  })
})

describe('the kernel of others’ connections', () => {
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
    kernel.setRetransmitMax(one, LONGEST_RETRANSMIT_MAX)
    kernel.restore(one)
    expect(set).toEqual([])
    kernel.setRetransmitMax(one, 1_000)
    kernel.setRetransmitMax(one, 1_000)
    kernel.restore(one)
    kernel.restore(one)
    expect(set).toEqual([
      ['TCP_RTO_MAX_MS', 1_000],
      ['TCP_RTO_MAX_MS', LONGEST_RETRANSMIT_MAX],
    ])
  })

  it('asks for a probe by setting the idle time anew, only where keepalive is in the plan', () => {
    const { kernel, set } = scene()
    kernel.probe(connection(), plainPlan)
    expect(set).toEqual([])
    kernel.probe(connection(), armedPlan)
    expect(set).toEqual([['TCP_KEEPIDLE', 2]])
  })

  it('sets nothing without arming', () => {
    const { kernel, set } = scene(false)
    kernel.probe(connection(), armedPlan)
    kernel.setRetransmitMax(connection(), 1_000)
    expect(set).toEqual([])
  })
})
