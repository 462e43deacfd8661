// What a path needs: how long an answer may take on it, and how many questions must go unanswered on a path that loses some
// of them before that means something. Pure.
import type { Table } from '../tcp/record.js'
import { column } from './reading.js'

/** The kernel's clocks are coarse (10 ms at HZ = 100) and not ours, ms. */
export const CLOCK_TOLERANCE = 20

/** The kernel's smallest retransmission timeout, which is above the round trip by at least so much (TCP_RTO_MIN). */
const RTO_MIN = 200

/** How long a receiver may hold an ACK back: Linux 200 ms, others up to 500 ms (RFC 9293, 3.8.6.3). */
const DELAYED_ACK = 300

/** `answerWithin` on a path without a round trip worth the name, ms. */
export const SHORT_PATH: number = RTO_MIN + DELAYED_ACK

/** The longest that the answer to a question may take on this path, ms; `NaN` where the kernel does not tell. */
export function answerWithin(table: Table, reading: number): number {
  return retransmitAfter(table, reading) + DELAYED_ACK
}

/** How much longer than on a short path that may take, ms. */
export function extraPathTime(table: Table, reading: number): number {
  return Math.max(0, answerWithin(table, reading) - SHORT_PATH) || 0
}

/** The kernel's retransmission timeout without a cap and without a backoff (tcp_set_rto). */
export function retransmitAfter(table: Table, reading: number): number {
  const rttVariation = table.get(reading, column.rttVariation)
  return table.get(reading, column.rtt) + Math.max(RTO_MIN, 4 * rttVariation)
}

/**
 * Whether segments wait in a queue on the path: what gets lost then overflows the queue, because of what is sent now, and
 * says nothing of the time after.
 */
export function isQueueing(table: Table, reading: number): boolean {
  return table.get(reading, column.rtt) > 3 * table.get(reading, column.minRtt) + RTO_MIN
}

/** The longest pause between two retransmits, or two probes of a shut window: twice what the path needs at least. */
export function longestPause(table: Table, reading: number, least: number): number {
  const needed = 2 * retransmitAfter(table, reading)
  return needed > least ? needed : least
}

/** With fewer unanswered questions than this no peer is dead: one lost segment, or one lost answer, is no evidence. */
export const LEAST_QUESTIONS = 3
const MOST_QUESTIONS = 40

/** How improbable it must be that a living peer's answers were all lost. */
const LOG_CHANCE = Math.log(1e-7)

/** A living Linux peer answers probes no more often than this, ms (net.ipv4.tcp_invalid_ratelimit). */
export const ANSWER_PACE = 500

/**
 * How many questions in a row must have gone unanswered, on a path on which so many of them did in the past: enough that
 * chance explains it once in ten million times. The share of losses is taken twice as high as it was measured, because
 * the answers get lost too; but only what is more than chance counts (1.5 standard deviations of a Poisson count), so that
 * a few lost segments on a good path ask for nothing.
 */
export function questionsNeeded(questions: number, unanswered: number): number {
  const certain = unanswered - 1.5 * Math.sqrt(unanswered)
  if (certain <= 0) return LEAST_QUESTIONS
  const share = Math.min(0.7, (2 * certain) / questions)
  const needed = Math.ceil(LOG_CHANCE / Math.log(share))
  return Math.min(MOST_QUESTIONS, Math.max(LEAST_QUESTIONS, needed))
}

/** Shares of lost questions that a path may have before anything is known of it, up to 20 % of the segments each way. */
const POSSIBLE_SHARES: readonly number[] = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.36]

/** The most that `questionsInDoubt` asks for. */
export const MOST_IN_DOUBT: number = questionsInDoubt(0, 0)

/**
 * How many questions in a row must have gone unanswered while little is known of the path: for each possible share of losses,
 * the chance of such a record, measured against the most likely share, and of the silence after it is at most one in ten
 * million. 16 where there is no record, 8 after 20 answers without a loss, 3 in the end.
 */
export function questionsInDoubt(questions: number, unanswered: number): number {
  const likeliest = logLikelihood(questions, unanswered, unanswered / questions)
  let needed = LEAST_QUESTIONS
  for (const share of POSSIBLE_SHARES) {
    const record = logLikelihood(questions, unanswered, share) - likeliest
    needed = Math.max(needed, Math.ceil((LOG_CHANCE - record) / Math.log(share)))
  }
  return needed
}

function logLikelihood(questions: number, unanswered: number, share: number): number {
  const lost = unanswered > 0 ? unanswered * Math.log(share) : 0
  const answered = questions - unanswered
  return lost + (answered > 0 ? answered * Math.log(1 - share) : 0)
}
