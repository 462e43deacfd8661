import { describe, expect, it } from 'vitest'
import {
  answerWithin,
  questionsInDoubt,
  questionsNeeded,
  retransmitAfter,
} from '../../src/liveness/path.js'
import { reading, readings } from '../support/readings.js'

describe('answerWithin', () => {
  it('is the round trip, its variation, and a delayed ACK', () => {
    expect(
      answerWithin(readings, reading({ rtt: 0.1, rttVariation: 0.05, minRtt: 0.1 })),
    ).toBeCloseTo(500.1)
    expect(answerWithin(readings, reading({ rtt: 1_400, rttVariation: 100, minRtt: 1_300 }))).toBe(
      2_100,
    )
    expect(
      retransmitAfter(readings, reading({ rtt: 1_400, rttVariation: 100, minRtt: 1_300 })),
    ).toBe(1_800)
  })

  it('is not known where the kernel does not tell the round trip', () => {
    expect(
      answerWithin(
        readings,
        reading({ rtt: Number.NaN, rttVariation: Number.NaN, minRtt: Number.NaN }),
      ),
    ).toBeNaN()
  })
})

describe('questionsNeeded', () => {
  it('is three on a path that has lost nothing', () => {
    expect(questionsNeeded(0, 0)).toBe(3)
    expect(questionsNeeded(1_000, 0)).toBe(3)
  })

  it('is hardly more on a good path that has lost a few', () => {
    expect(questionsNeeded(20, 2)).toBe(3)
    expect(questionsNeeded(40, 3)).toBeLessThanOrEqual(5)
  })

  it('makes a chance loss of all of them less probable than one in ten million', () => {
    for (const share of [0.05, 0.2, 0.36]) {
      const needed = questionsNeeded(250, 250 * share)
      expect(share ** needed).toBeLessThan(1e-7)
    }
  })

  it('grows with the losses, and has a limit', () => {
    const needed = [0, 1, 10, 40, 72, 200].map((lost) => questionsNeeded(200, lost))
    expect(needed).toEqual([...needed].sort((a, b) => a - b))
    expect(needed.at(-1)).toBe(40)
  })
})

describe('questionsInDoubt', () => {
  it('is 16 where nothing is known: a path that loses a fifth each way loses all of them once in ten million times', () => {
    expect(questionsInDoubt(0, 0)).toBe(16)
    expect((1 - 0.8 ** 2) ** 16).toBeLessThan(1e-7)
  })

  it('makes every record together with the silence after it as improbable, for any loss of the path', () => {
    for (const share of [0.1, 0.2, 0.36]) {
      for (const answered of [0, 1, 5, 20, 60]) {
        const chance = (1 - share) ** answered * share ** questionsInDoubt(answered, 0)
        expect(chance).toBeLessThan(1.01e-7)
      }
    }
  })

  it('falls with the answers, rises with the losses, and ends at three', () => {
    const answered = [0, 5, 10, 20, 40, 80, 250].map((questions) => questionsInDoubt(questions, 0))
    expect(answered).toEqual([...answered].sort((a, b) => b - a))
    expect(answered.at(-1)).toBe(3)
    const lost = [0, 1, 4, 7].map((unanswered) => questionsInDoubt(20, unanswered))
    expect(lost).toEqual([...lost].sort((a, b) => a - b))
    expect(lost.at(-1)).toBe(16)
  })
})
