// What a path needs: how long an answer may take, and how many questions must go unanswered if the path loses segments.
// Pure.
import type { Table } from '../tcp/record.js'
import { column } from './reading.js'

/** Tolerance between the kernel's clocks, which are coarse (10 ms at HZ = 100), and the monitor's, ms. */
export const CLOCK_TOLERANCE = 20

/** The kernel's smallest difference between the retransmission timeout and the round trip, ms (TCP_RTO_MIN). */
const RTO_MIN = 200

/** How long a receiver may delay an ACK, ms: Linux 200, others up to 500 (RFC 9293, 3.8.6.3). */
const DELAYED_ACK = 300

/** `answerWithin` on a path with a negligible round trip, ms. */
export const SHORT_PATH: number = RTO_MIN + DELAYED_ACK

/** The longest time that the answer to a question may take on this path, ms; `NaN` without the kernel's data. */
export function answerWithin(table: Table, reading: number): number {
  return retransmitAfter(table, reading) + DELAYED_ACK
}

/** How much longer an answer may take than on a short path, ms. */
export function extraPathTime(table: Table, reading: number): number {
  return Math.max(0, answerWithin(table, reading) - SHORT_PATH) || 0
}

/** The kernel's retransmission timeout without its limit and without backoff, ms (tcp_set_rto). */
export function retransmitAfter(table: Table, reading: number): number {
  const rttVariation = table.get(reading, column.rttVariation)
  return table.get(reading, column.rtt) + Math.max(RTO_MIN, 4 * rttVariation)
}

/**
 * Whether segments wait in a queue on the path. Losses are then an overflow of that queue by the present data, and say
 * nothing about the time afterwards.
 */
export function isQueueing(table: Table, reading: number): boolean {
  return table.get(reading, column.rtt) > 3 * table.get(reading, column.minRtt) + RTO_MIN
}

/**
 * The longest pause between two retransmits or two probes of a closed window, ms: at least twice what the path needs.
 */
export function longestPause(table: Table, reading: number, least: number): number {
  const needed = 2 * retransmitAfter(table, reading)
  return needed > least ? needed : least
}

/** The least number of unanswered questions for a dead peer. One lost segment or one lost answer is not evidence. */
export const LEAST_QUESTIONS = 3
/** The largest number of questions that a path may require. */
export const MOST_QUESTIONS = 40

/** The logarithm of the largest accepted probability that a living peer's answers were all lost. */
const LOG_CHANCE = Math.log(1e-7)

/** A living Linux peer answers probes at most this often, ms (net.ipv4.tcp_invalid_ratelimit). */
export const ANSWER_PACE = 500

/**
 * How many consecutive questions must go unanswered on a path with this record: enough that chance explains it once in
 * ten million times. The loss rate is assumed to be twice the measured one, because answers get lost too. Only losses
 * beyond chance count (1.5 standard deviations of a Poisson count), so that a few lost segments on a good path change
 * nothing.
 */
export function questionsNeeded(questions: number, unanswered: number): number {
  const certain = unanswered - 1.5 * Math.sqrt(unanswered)
  if (certain <= 0) return LEAST_QUESTIONS
  const share = Math.min(0.7, (2 * certain) / questions)
  const needed = Math.ceil(LOG_CHANCE / Math.log(share))
  return Math.min(MOST_QUESTIONS, Math.max(LEAST_QUESTIONS, needed))
}

/** The logarithms of the probabilities that a question is lost, and that it is answered. */
interface PossiblePath {
  readonly lost: number
  readonly answered: number
}

/** Paths that are possible before anything is known, which lose up to 20 % of the segments each way. */
const POSSIBLE_PATHS: readonly PossiblePath[] = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.36].map(pathOf)

function pathOf(share: number): PossiblePath {
  return { lost: Math.log(share), answered: Math.log(1 - share) }
}

/** The largest result of `questionsInDoubt`. */
export const MOST_IN_DOUBT: number = questionsInDoubt(0, 0)

/**
 * How many consecutive questions must go unanswered while little is known about the path. For each possible loss rate,
 * the probability of the record, relative to the most likely rate, and of the silence after it is at most one in ten
 * million. The result is 16 without a record, 8 after 20 answers without a loss, and 3 in the end.
 */
export function questionsInDoubt(questions: number, unanswered: number): number {
  const likeliest = logLikelihood(questions, unanswered, pathOf(unanswered / questions))
  let needed = LEAST_QUESTIONS
  for (const path of POSSIBLE_PATHS) {
    const record = logLikelihood(questions, unanswered, path) - likeliest
    needed = Math.max(needed, Math.ceil((LOG_CHANCE - record) / path.lost))
  }
  return needed
}

function logLikelihood(questions: number, unanswered: number, path: PossiblePath): number {
  const answered = questions - unanswered
  return (
    (unanswered > 0 ? unanswered * path.lost : 0) + (answered > 0 ? answered * path.answered : 0)
  )
}
