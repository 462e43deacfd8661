import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { livenessPlan } from '../../src/index.js'
import { questionsNeeded } from '../../src/liveness/path.js'
import { monitorPlan, planFor } from '../../src/liveness/plan.js'

const everyD = fc.integer({ min: 4_000, max: 3_600_000 })

describe('livenessPlan', () => {
  it('leaves the kernel without TCP_USER_TIMEOUT more probes than any path requires', () => {
    for (const detectWithin of [4_000, 6_000, 30_000, 3_600_000]) {
      const { keepAlive } = planFor(detectWithin, { userTimeout: false }, true)
      expect(keepAlive && keepAlive.count > questionsNeeded(100, 90)).toBe(true)
    }
  })

  it('keeps the promise by arithmetic for every D', () => {
    fc.assert(
      fc.property(everyD, fc.boolean(), (detectWithin, hasRetransmitMax) => {
        const plan = planFor(detectWithin, {}, hasRetransmitMax)
        const { keepAlive, silence, checkPace, urgentPace, quietPace, userTimeout } = plan
        if (keepAlive === false || userTimeout === false) throw new Error('nothing was overridden')
        // The last answer is as old as the silence, seen at the next look.
        expect(silence + urgentPace).toBeLessThanOrEqual(detectWithin + 500)
        // An idle peer has been asked three times by the last quiet look, and then has the time to answer.
        expect(keepAlive.idle + 2 * keepAlive.interval).toBeLessThanOrEqual(quietPace)
        expect(quietPace + 500 + 2 * urgentPace).toBeLessThanOrEqual(silence)
        // As often as is promised for a new connection: seen by a look, no closer together than a Linux peer answers.
        expect(keepAlive.idle + (plan.idleQuestions - 1) * 500).toBeLessThanOrEqual(quietPace)
        // So it has behind a shut window where only TCP_USER_TIMEOUT makes the kernel probe.
        const { shutWindowLead: lead } = plan
        if (lead !== false) {
          expect(3 * (lead + checkPace) + 500 + 2 * urgentPace).toBeLessThanOrEqual(
            detectWithin + 1_000,
          )
        }
        expect(lead === false).toBe(hasRetransmitMax)
        // The kernel counts whole seconds.
        expect(keepAlive.idle % 1000).toBe(0)
        expect(keepAlive.interval % 1000).toBe(0)
        // The kernel's own verdict never comes first, and a loop that is blocked for 20 s changes nothing.
        expect(userTimeout).toBeGreaterThan(silence + 20_000)
        // A peer is asked in any outage that is tolerated, and answers before it is over.
        const gap = Math.max(keepAlive.interval, plan.retransmitMax || 0)
        expect(plan.toleratedOutage + gap + 500).toBeLessThanOrEqual(silence - keepAlive.idle)
      }),
    )
  })

  it('tolerates an outage of half of D from D = 6 s on', () => {
    for (const detectWithin of [6_000, 12_000, 30_000, 60_000]) {
      const { toleratedOutage } = planFor(detectWithin, {}, true)
      expect(toleratedOutage).toBeGreaterThanOrEqual(detectWithin / 2)
    }
  })

  it('promises less where retransmits double: the next may come when the outage has been twice as long', () => {
    fc.assert(
      fc.property(everyD, (detectWithin) => {
        const { toleratedOutage, silence, keepAlive } = planFor(detectWithin, {}, false)
        if (keepAlive === false) throw new Error('nothing was overridden')
        expect(2 * toleratedOutage + 500).toBeLessThanOrEqual(silence - keepAlive.idle)
      }),
    )
  })

  const refused: [string, unknown, string][] = [
    ['0', 0, 'ERR_OPTION_VALUE'],
    ['-1', -1, 'ERR_OPTION_VALUE'],
    ['NaN', Number.NaN, 'ERR_OPTION_VALUE'],
    ["'10s'", '10s', 'ERR_OPTION_TYPE'],
    ['2 000 ms', 2_000, 'ERR_DETECT_WITHIN_TOO_SMALL'],
  ]
  for (const [title, value, code] of refused) {
    it(`refuses detectWithin = ${title}`, () => {
      expect(() => livenessPlan(value as number)).toThrow(expect.objectContaining({ code }))
    })
  }

  it('lets single entries be set by hand', () => {
    expect(livenessPlan(10_000, { heartbeat: false }).heartbeat).toBe(false)
    expect(monitorPlan(10_000, { userTimeout: 11_000 }).userTimeout).toBe(11_000)
    const keepAlive = { idle: 1, interval: 1_001, count: 3 }
    expect(monitorPlan(10_000, { keepAlive }).keepAlive).toEqual({
      idle: 1_000,
      interval: 2_000,
      count: 3,
    })
  })

  it('has no TCP_RTO_MAX_MS without a TCP_USER_TIMEOUT: tcp_retries2 would end living peers', () => {
    expect(planFor(10_000, { userTimeout: false }, true).retransmitMax).toBe(false)
  })

  const killing: [string, number, Record<string, unknown>, string][] = [
    ['a userTimeout within the silence', 10_000, { userTimeout: 10_500 }, 'userTimeout'],
    [
      // 2 s as the kernel counts, not 1 001 ms.
      'an interval that is rounded up to more than fits',
      4_000,
      { keepAlive: { idle: 1, interval: 1_001, count: 1 } },
      'keepAlive',
    ],
    [
      'an idle time that leaves no room',
      10_000,
      { keepAlive: { idle: 8_000, interval: 1_000, count: 3 } },
      'keepAlive',
    ],
    [
      'a heartbeat that leaves no room',
      10_000,
      { keepAlive: false, heartbeat: 9_000 },
      'heartbeat',
    ],
    ['nothing that asks', 10_000, { keepAlive: false, heartbeat: false }, 'keepAlive'],
    [
      'a short TCP_RTO_MAX_MS with tcp_retries2 in force',
      30_000,
      { retransmitMax: 1_000, userTimeout: false },
      'retransmitMax',
    ],
  ]
  for (const [title, detectWithin, overrides, option] of killing) {
    it(`refuses what would kill the living or break the promise: ${title}`, () => {
      expect(() => planFor(detectWithin, overrides, true)).toThrow(
        expect.objectContaining({ code: 'ERR_OPTION_VALUE', option }),
      )
    })
  }

  it("shows what can be relied on, and none of the monitor's own paces", () => {
    expect(Object.keys(livenessPlan(10_000)).sort()).toEqual([
      'detectWithin',
      'heartbeat',
      'keepAlive',
      'retransmitMax',
      'shutWindowLead',
      'silence',
      'toleratedOutage',
      'userTimeout',
    ])
    expect(monitorPlan(10_000)).toMatchObject(livenessPlan(10_000))
  })

  it('takes no kernel option by hand: these are for applySocketOptions', () => {
    for (const option of ['userTimeout', 'keepAlive', 'retransmitMax']) {
      expect(() => livenessPlan(10_000, { [option]: false })).toThrow(
        expect.objectContaining({ code: 'ERR_OPTION_UNKNOWN' }),
      )
    }
  })

  it('refuses an unknown entry with the nearest name', () => {
    expect(() => livenessPlan(10_000, { hartbeat: 1 } as never)).toThrow("'heartbeat'")
  })
})
