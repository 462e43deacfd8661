import { describe, expect, it } from 'vitest'
import { livenessPlan } from '../../src/index.js'
import {
  judge,
  type Look,
  type Observation,
  observe,
  userTimeoutFor,
  type Verdict,
} from '../../src/liveness/verdict.js'

const plan = livenessPlan(6_000)
const healthy: Look = {
  state: 1,
  unacked: 0,
  unsent: 0,
  retransmits: 0,
  probes: 0,
  lastAckReceived: 10,
  lastDataReceived: 10,
  lost: 0,
  totalRetransmits: 0,
  bytesAcked: 1000,
  windowLimited: 0,
}

/** Looks a second apart; each row changes what it names. */
function lastVerdict(looks: Partial<Look>[], apart = 1_000): Verdict {
  let previous: Observation | undefined
  let verdict: Verdict = 'alive'
  looks.forEach((look, index) => {
    const now = index * apart
    const current = observe(previous, { ...healthy, ...look }, plan, now)
    verdict = judge(previous, current, plan, now)
    previous = current
  })
  return verdict
}

/** The same for so many seconds, with no ACK. */
const unanswered = (seconds: number, look: Partial<Look>): Partial<Look>[] =>
  Array.from({ length: seconds + 1 }, (_, index) => ({
    ...look,
    lastAckReceived: 500 + index * 1_000,
  }))

describe('judge', () => {
  const rows: [string, Partial<Look>[], Verdict][] = [
    ['nothing outstanding', [{}], 'alive'],
    ['an idle connection whose last ACK is an hour old', [{ lastAckReceived: 3_600_000 }], 'alive'],
    ['a fast flow', [{ unacked: 10, unsent: 5_000 }], 'alive'],
    [
      'data in flight and losses rising',
      [{ unacked: 3 }, { unacked: 3, totalRetransmits: 2 }],
      'congested',
    ],
    ['a shut window with answered probes', unanswered(1, { unsent: 9_000, probes: 1 }), 'slow'],
    [
      'a window that held bytes back',
      [{}, { unacked: 2, unsent: 900, windowLimited: 800 }],
      'slow',
    ],
    ['FIN received', [{ state: 8 }], 'half-closed'],
    ['given up by the kernel', [{ state: 7 }], 'dead'],
    [
      'data unanswered for the whole silence',
      unanswered(6, { unacked: 2, retransmits: 4 }),
      'dead',
    ],
    ['data unanswered for half of it', unanswered(2, { unacked: 2, retransmits: 4 }), 'congested'],
    ['one lost segment only', unanswered(6, { unacked: 2, retransmits: 1 }), 'congested'],
    ['a shut window, probes unanswered', unanswered(6, { unsent: 9_000, probes: 4 }), 'dead'],
    ['one unanswered window probe', unanswered(6, { unsent: 9_000, probes: 1 }), 'slow'],
    [
      'keepalive unanswered: the silence counts from the first probe',
      [{ probes: 5, lastAckReceived: 5_900, lastDataReceived: 8_000 }],
      'dead',
    ],
    [
      'keepalive just begun',
      [{ probes: 2, lastAckReceived: 3_000, lastDataReceived: 8_000 }],
      'alive',
    ],
    [
      'an ACK that came after a silence',
      [
        ...unanswered(6, { unacked: 2, retransmits: 1 }),
        { unacked: 2, retransmits: 3, lastAckReceived: 50 },
      ],
      'congested',
    ],
  ]
  for (const [title, looks, verdict] of rows) {
    it(`says ${verdict} of ${title}`, () => expect(lastVerdict(looks)).toBe(verdict))
  }
})

describe('userTimeoutFor', () => {
  const at = (look: Partial<Look>): Observation =>
    observe(undefined, { ...healthy, ...look }, plan, 0)
  it('is the plan’s on a connection whose window never held anything up', () => {
    expect(userTimeoutFor(at({ unacked: 2 }), undefined, plan, 0)).toBe(plan.userTimeout)
  })
  it('is off while the window is shut', () => {
    expect(userTimeoutFor(at({ unsent: 1 }), undefined, plan, 0)).toBe(0)
  })
  it('is armed again with the time on top that the kernel may still be counting', () => {
    expect(userTimeoutFor(at({}), 1_000, plan, 9_000)).toBe((plan.userTimeout as number) + 8_000)
    expect(userTimeoutFor(at({}), Number.NEGATIVE_INFINITY, plan, 9_000)).toBe(0)
  })
})
