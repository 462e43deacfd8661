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
const LEAST_QUESTIONS = 3
const MOST_QUESTIONS = 40

/** How improbable it must be that a living peer's answers were all lost. */
const LOG_CHANCE = Math.log(1e-7)

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
