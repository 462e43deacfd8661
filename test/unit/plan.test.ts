import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { livenessPlan } from '../../src/index.js'

describe('livenessPlan', () => {
  it('keeps the promise by arithmetic for every D', () => {
    fc.assert(
      fc.property(fc.integer({ min: 4_000, max: 3_600_000 }), (detectWithin) => {
        const plan = livenessPlan(detectWithin)
        const { keepAlive, silence, pace, checkPace, urgentPace, userTimeout } = plan
        if (keepAlive === false || userTimeout === false) throw new Error('nothing was overridden')
        // Idle until probed, seen at the next look, silent, judged at the look after that.
        expect(keepAlive.idle + pace + silence + urgentPace).toBeLessThanOrEqual(detectWithin + 500)
        // Written right after a check, seen at the next one, silent, judged.
        expect(checkPace + silence + urgentPace).toBeLessThanOrEqual(detectWithin + 500)
        expect(checkPace).toBeGreaterThanOrEqual(pace)
        // At least three unanswered probes inside the silence.
        expect(silence).toBeGreaterThanOrEqual(2 * keepAlive.interval)
        // One lost probe must not kill (grpc-go issue 6250).
        expect(userTimeout).toBeGreaterThan(keepAlive.idle + 3 * keepAlive.interval)
        // The kernel counts whole seconds.
        expect(keepAlive.idle % 1000).toBe(0)
        expect(keepAlive.interval % 1000).toBe(0)
        // The monitor looks more often than half of TCP_USER_TIMEOUT.
        expect(pace).toBeLessThan(userTimeout / 2)
      }),
    )
  })

  it('tolerates an outage of half of D from D = 6 s on', () => {
    for (const detectWithin of [6_000, 12_000, 30_000, 60_000]) {
      expect(livenessPlan(detectWithin).toleratedOutage).toBeGreaterThanOrEqual(detectWithin / 2)
    }
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

  it('lets single entries be set by hand, and refuses those that would kill the living', () => {
    expect(livenessPlan(10_000, { heartbeat: false }).heartbeat).toBe(false)
    expect(livenessPlan(10_000, { userTimeout: 9_000 }).userTimeout).toBe(9_000)
    expect(() => livenessPlan(10_000, { userTimeout: 2_000 })).toThrow('keepalive')
    expect(() => livenessPlan(10_000, { keepAlive: false, heartbeat: false })).toThrow('idle peer')
    expect(() => livenessPlan(10_000, { hartbeat: 1 } as never)).toThrow("'heartbeat'")
  })
})
