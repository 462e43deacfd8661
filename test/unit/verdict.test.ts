import { describe, expect, it } from 'vitest'
import { planFor } from '../../src/liveness/plan.js'
import { deadAt, judge, silentFor, type Verdict } from '../../src/liveness/verdict.js'
import { portGuardSettings } from '../../src/port-guard/options.js'
import { type Numbers, numberOf, observed as observedOne, readings } from '../support/readings.js'

const plan = planFor(6_000, {}, true)

/** Samples a second apart; each row changes what it names. */
function observed(samples: readonly Numbers[], apart = 1_000, by = plan): number[] {
  const all: number[] = []
  for (const sample of samples) all.push(observedOne(all.at(-1), sample, by, all.length * apart))
  return all
}

const judged = (all: readonly number[]): Verdict => {
  const current = all.at(-1) as number
  return judge(readings, all.at(-2), current, plan, numberOf(current, 'at'))
}

const lastVerdict = (samples: readonly Numbers[]): Verdict => judged(observed(samples))

/** So many seconds without an answer, after a healthy sample. */
const unanswered = (seconds: number, sample: (second: number) => Numbers): Numbers[] => [
  {},
  ...Array.from({ length: seconds }, (_, index) => ({
    lastAckReceived: 1_010 + index * 1_000,
    lastDataReceived: 9_000 + index * 1_000,
    ...sample(index + 1),
  })),
]

const retransmitted = (second: number): Numbers => ({ unackedSegments: 2, retransmits: second })
/** By keepalive and by the monitor, once a second each. */
const probed = (second: number): Numbers => ({ probes: 2 * second - 1 })
const windowProbed = (second: number): Numbers => ({ unsent: 9_000, probes: second })

describe('judge', () => {
  const rows: [string, Numbers[], Verdict][] = [
    ['nothing outstanding', [{}], 'alive'],
    ['an idle connection whose last ACK is an hour old', [{ lastAckReceived: 3_600_000 }], 'alive'],
    ['a fast flow', [{ unackedSegments: 10, unsent: 5_000 }], 'alive'],
    [
      'data in flight and losses rising',
      [{ unackedSegments: 3 }, { unackedSegments: 3, totalRetransmits: 2 }],
      'congested',
    ],
    ['a shut window with answered probes', unanswered(1, windowProbed), 'slow'],
    ['a window shut over data in flight', [{ unackedSegments: 1, sendWindow: 0 }], 'slow'],
    [
      'a window that held bytes back',
      [{}, { unackedSegments: 2, unsent: 900, windowLimited: 800 }],
      'slow',
    ],
    ['FIN received', [{ state: 8 }], 'half-closed'],
    ['given up by the kernel', [{ state: 7 }], 'dead'],
    ['data unanswered for the whole silence', unanswered(7, retransmitted), 'dead'],
    ['data unanswered for less', unanswered(6, retransmitted), 'congested'],
    [
      'one lost segment only',
      unanswered(9, () => ({ unackedSegments: 2, retransmits: 1 })),
      'congested',
    ],
    [
      // The kernel's loss probe is put off by each of them, and nothing is ever retransmitted.
      'new segments that go unanswered, without a retransmit',
      unanswered(7, (second) => ({ unackedSegments: second, dataSegmentsSent: 100 + second })),
      'dead',
    ],
    [
      'a burst that went unanswered, and nothing after it',
      unanswered(9, () => ({ unackedSegments: 50, dataSegmentsSent: 150 })),
      'alive',
    ],
    ['a shut window, probes unanswered', unanswered(7, windowProbed), 'dead'],
    ['one unanswered window probe', unanswered(9, () => windowProbed(1)), 'slow'],
    ['keepalive unanswered', unanswered(7, probed), 'dead'],
    ['too little of it', unanswered(7, (second) => ({ probes: second })), 'alive'],
    [
      'probes that a living Linux peer would leave unanswered, because they are too many',
      unanswered(4, (second) => ({ probes: 20 * second })),
      'alive',
    ],
    ['keepalive unanswered for less', unanswered(6, probed), 'alive'],
    [
      'an ACK that came after a silence',
      [
        ...unanswered(9, () => ({ unackedSegments: 2, retransmits: 1 })),
        { unackedSegments: 2, retransmits: 3 },
      ],
      'congested',
    ],
    [
      'data that came from the peer, though no ACK did',
      [
        ...unanswered(6, retransmitted),
        { unackedSegments: 2, retransmits: 7, lastAckReceived: 9_000 },
      ],
      'congested',
    ],
  ]
  for (const [title, samples, verdict] of rows) {
    it(`says ${verdict} of ${title}`, () => expect(lastVerdict(samples)).toBe(verdict))
  }

  it('counts what was in flight at the first sample, and timeouts since the last answer: as many as there was time for', () => {
    const first = (age: number): number =>
      observed([
        {
          unackedSegments: 1,
          retransmits: 3,
          rto: 1_600,
          lastAckReceived: age,
          lastDataReceived: 1e6,
        },
      ])[0] as number
    expect([100, 1_600, 5_000, 60_000].map((age) => numberOf(first(age), 'asked'))).toEqual([
      1, 2, 4, 4,
    ])
  })

  it('counts probes that a living peer had unanswered at the first sample', () => {
    const samples = [{ probes: 9, lastAckReceived: 5_900, lastDataReceived: 8_000 }]
    const all = observed([...samples, { ...samples[0], probes: 10, lastAckReceived: 6_900 }])
    expect(judged(all)).toBe('dead')
  })
})

describe('a path that needs more', () => {
  it('gets the time that an answer takes on it, however long the silence has been', () => {
    const far = { rtt: 8_000, minRtt: 8_000 }
    const slow = (second: number): Numbers => ({ ...retransmitted(second), ...far })
    const all = observed([far, ...unanswered(9, slow).slice(1)])
    const current = all.at(-1) as number
    expect(numberOf(current, 'asked')).toBeGreaterThanOrEqual(3)
    expect(silentFor(readings, current)).toBeGreaterThan(plan.silence)
    expect(judged(all)).not.toBe('dead')
    // The data was sent and sent again before 1 s, and again before 2 s.
    expect(deadAt(readings, current, plan)).toBeCloseTo(2_000 + 8_000 + 500, -1)
  })

  it('takes no answer, and no lost question, from a clock that was read late', () => {
    // The process was interrupted between its clock and the kernel's: the age of the last answer jumps, and comes back.
    const late = [0, 0, 60, 0, 250, 0, 0].map((jump, index) => ({
      ...windowProbed(index + 1),
      windowLimited: 1_000 * (index + 1),
      lastAckReceived: 1_010 + index * 1_000 + jump,
      lastDataReceived: 1e6,
    }))
    const all = observed([{}, ...late])
    expect(all.map((reading) => numberOf(reading, 'needed')).slice(1)).toEqual(late.map(() => 3))
    expect(judged(all)).toBe('dead')
  })

  it('takes an answer for one however late it is', () => {
    const answered = [
      { probes: 2, lastAckReceived: 4_000, lastDataReceived: 1e6 },
      { probes: 0, lastAckReceived: 940, lastDataReceived: 1e6 },
    ]
    const all = observed(answered)
    expect(numberOf(all.at(-1) as number, 'unanswered')).toBeGreaterThan(0)
  })

  it('is asked more often where it has lost segments before', () => {
    // A fifth of the segments had to be sent again.
    const lossy = Array.from({ length: 20 }, (_, index) => ({
      dataSegmentsSent: 100 + index * 10,
      totalRetransmits: index * 2,
    }))
    const last = lossy.at(-1) as Numbers
    const all = observed([
      ...lossy,
      ...unanswered(9, retransmitted)
        .slice(1)
        .map((look) => ({ ...last, ...look })),
    ])
    const current = all.at(-1) as number
    expect(numberOf(current, 'needed')).toBeGreaterThan(9)
    expect(judged(all)).toBe('congested')
  })

  it('is asked five times if it falls silent during a recovery: a full queue may drop what is sent again, too', () => {
    const provedAt = (last: Numbers, then: (second: number) => Numbers, by = plan): number => {
      const all = observed([last, ...unanswered(9, then).slice(1)], 1_000, by)
      return all.findIndex((reading) => !Number.isNaN(numberOf(reading, 'provedAt')))
    }
    const losing = (second: number): Numbers => ({ ...retransmitted(second), lost: 2 })
    expect(provedAt({ unackedSegments: 5, lost: 3 }, losing)).toBe(4)
    // Without TCP_RTO_MAX_MS, three timeouts take as long as four with it.
    const settings = portGuardSettings({ port: 80, detectWithin: 6_000 })
    for (const by of [planFor(6_000, {}, false), settings.armedPlan, settings.plainPlan]) {
      expect(provedAt({ unackedSegments: 5, lost: 3 }, losing, by)).toBe(3)
    }
    // Otherwise the first timeout counts all that is in flight as lost.
    expect(provedAt({ unackedSegments: 5 }, losing)).toBe(2)
    // The last answer is seen after that timeout: what was known before it counts.
    const late = { unackedSegments: 5, lost: 5, retransmits: 1, rto: 400, lastAckReceived: 500 }
    const neededAfter = (before: Numbers): number =>
      numberOf(observed([before, late]).at(-1) as number, 'needed')
    expect(neededAfter({ unackedSegments: 5, lastAckReceived: 900 })).toBe(3)
    expect(neededAfter({ unackedSegments: 5, lost: 3, lastAckReceived: 900 })).toBe(5)
  })

  it('needs no more once a recovery is over, if its end is not seen as a new answer', () => {
    const during = { unackedSegments: 1, lost: 1, lastAckReceived: 5 }
    const [, , end] = observed(
      [during, { lastAckReceived: 995 }, { lastAckReceived: 1_995 }],
      1_000,
    )
    expect(numberOf(end as number, 'recovering')).toBe(0)
  })

  describe('a retransmit that the peer reports as received before', () => {
    /** What counts as unanswered after retransmits and reports, sample by sample: ten segments each. */
    const counted = (samples: readonly (readonly [resent: number, reported: number])[]): number => {
      const readings = samples.map(([totalRetransmits, reportedDuplicates], index) => ({
        dataSegmentsSent: 100 + index * 10,
        ...{ totalRetransmits, reportedDuplicates, unackedSegments: 1 },
      }))
      return numberOf(observed(readings).at(-1) as number, 'unanswered')
    }
    const ten = Array.from({ length: 11 }, (_, index) => index)
    const none = counted(ten.map((n) => [n, 0]))

    it('counts half', () => {
      expect(none).toBeGreaterThan(8)
      expect(counted(ten.map((n) => [n, n]))).toBeCloseTo(none / 2, 5)
      // Every other one is reported.
      const some = counted(ten.map((n) => [2 * n, n])) / none
      expect(some).toBeGreaterThan(1.4)
      expect(some).toBeLessThan(1.6)
      // Linux before 4.19 does not tell.
      expect(counted(ten.map((n) => [n, Number.NaN]))).toBe(none)
    })

    it('counts half if the report comes one answer later', () => {
      const late = counted(ten.map((n) => [n, Math.max(0, n - 1)]))
      expect(late).toBeCloseTo(none / 2, 5)
    })

    it('counts half, and no less, on a path that delivers segments twice', () => {
      expect(counted(ten.map((n) => [n, 5 * n]))).toBeCloseTo(none / 2, 5)
    })

    it('takes nothing off losses that come after it', () => {
      const early = ten.map((n) => [0, 5 * n] as const)
      const losses = (reports: number) => ten.map((n) => [n, reports] as const)
      expect(counted([...early, ...losses(50)])).toBeGreaterThanOrEqual(none - 1)
    })

    it('takes off no more than half of what its retransmit counts, in a burst that counts less', () => {
      const at = (segments: number, totalRetransmits: number, reportedDuplicates: number) => {
        const dataSegmentsSent = 100 + segments
        return { dataSegmentsSent, totalRetransmits, reportedDuplicates, unackedSegments: 0 }
      }
      const losses = ten.map((n) => at(10 * n, n, 0))
      // Of 1 700 segments, 17 are sent twice. The reports come with the next one.
      const burst = [at(1_800, 27, 0), at(1_801, 27, 17)]
      const of = (samples: readonly Numbers[]): number =>
        numberOf(observed(samples).at(-1) as number, 'unanswered')
      expect(of([...losses, ...burst])).toBeGreaterThan(of(losses))
    })

    it('takes nothing off losses of long ago', () => {
      const [losses, then] = [ten.map((n) => [n, 0] as const), [10, 0] as const]
      const before = counted([...losses, then, then, then])
      expect(counted([...losses, then, then, [10, 8]])).toBe(before)
    })
  })

  it('is asked more often where keepalive probes went unanswered before', () => {
    const probes = Array.from({ length: 12 }, (_, index) =>
      index % 2 === 0 ? { probes: 1, lastAckReceived: 2_500, lastDataReceived: 1e6 } : {},
    )
    expect(numberOf(observed(probes).at(-1) as number, 'needed')).toBeGreaterThan(9)
  })

  it('takes an outage for none of its losses, nor probes of a window that is shut over data in flight', () => {
    const outage = Array.from({ length: 9 }, (_, index) => ({
      unackedSegments: 1,
      retransmits: index,
      totalRetransmits: index,
      dataSegmentsSent: 100 + index,
      lastAckReceived: 1_000 * (index + 1),
      lastDataReceived: 1e6,
    }))
    // Something is in flight at the last look: an idle peer is asked more often at first.
    const after = { totalRetransmits: 9, dataSegmentsSent: 109, unackedSegments: 1 }
    expect(numberOf(observed([{}, ...outage, after, after]).at(-1) as number, 'needed')).toBe(3)
    const shut = Array.from({ length: 9 }, (_, index) => ({
      unackedSegments: 1,
      sendWindow: 0,
      totalRetransmits: index,
      dataSegmentsSent: 100 + index,
    }))
    const last = observed([{}, ...shut, { unackedSegments: 1 }]).at(-1) as number
    expect(numberOf(last, 'needed')).toBe(3)
    // And what a full queue, or a full buffer of the peer's, drops.
    const dropped = (index: number): Numbers => ({
      totalRetransmits: index,
      dataSegmentsSent: 100 + 3 * index,
    })
    const overflow = Array.from({ length: 20 }, (_, index) => dropped(index))
    const queued = overflow.map((look) => ({ ...look, rtt: 900, minRtt: 40 }))
    // The queue is empty again when the loss has been repaired.
    const emptied = overflow.map((sample, index) => ({
      ...sample,
      rtt: index % 2 === 0 ? 900 : 100,
      minRtt: 40,
    }))
    const limited = overflow.map((look, index) => ({ ...look, windowLimited: index }))
    const needed = (samples: Numbers[]): number =>
      numberOf(observed(samples).at(-1) as number, 'needed')
    expect(
      [overflow, queued, emptied, limited].map(
        (samples) => needed([...samples, { unackedSegments: 1 }]) > 3,
      ),
    ).toEqual([true, false, false, false])
  })
})
