// Compares readings: when the peer last answered, how often it has been asked since, and how often it must be. Pure.
// docs/liveness.md has the theory.
import type { Table } from '../tcp/record.js'
import {
  ANSWER_PACE,
  CLOCK_TOLERANCE,
  extraPathTime,
  questionsInDoubt,
  questionsNeeded,
} from './path.js'
import { recordPath } from './path-record.js'
import type { MonitorPlan } from './plan.js'
import { isOutstanding, questionsBetween, questionsSinceAnswer } from './questions.js'
import { column, isIdle, isRetracted } from './reading.js'

/**
 * Compares a reading with the previous one, and writes what follows into the derived columns of the current one.
 *
 * @param previous - the start of the previous reading in the table; `undefined` at the first
 * @param current - the start of the current reading, which already has the kernel's numbers
 */
export function observe(
  table: Table,
  previous: number | undefined,
  current: number,
  plan: MonitorPlan,
  now: number,
): void {
  const told = (of: number): number => table.get(current, of)
  const before = (of: number): number =>
    previous === undefined ? Number.NaN : table.get(previous, of)
  const answeredAt = now - Math.min(told(column.lastAckReceived), told(column.lastDataReceived))
  table.set(current, column.at, now)
  table.set(current, column.answeredAt, answeredAt)
  const answered = previous === undefined || isLaterAnswer(table, previous, answeredAt)
  recordPath(table, previous, current, answered, plan)
  let asked = 0
  if (isOutstanding(table, current)) {
    asked = answered
      ? questionsSinceAnswer(table, current, plan)
      : before(column.asked) + questionsBetween(table, previous, current, plan)
  }
  table.set(current, column.asked, asked)
  table.set(current, column.recovering, recovering(table, previous, current, answered))
  // A silence is judged by the path before it, so the path's record grows only with answers.
  const needed = questionsFor(table, current, plan)
  table.set(current, column.needed, needed)
  const provedBefore = answered ? Number.NaN : before(column.provedAt)
  const isNew = asked >= needed && Number.isNaN(provedBefore)
  table.set(current, column.provedAt, isNew ? now : provedBefore)
}

/**
 * 1 if the kernel was sending lost segments again at the last answer, else 0. After a timeout, all that is in flight
 * counts as lost, so the value before the timeout is kept.
 */
function recovering(
  table: Table,
  previous: number | undefined,
  current: number,
  answered: boolean,
): number {
  const isLosing = table.get(current, column.lost) > 0
  const hasTimedOut = table.get(current, column.retransmits) > 0
  if (answered && !hasTimedOut) return isLosing ? 1 : 0
  return previous !== undefined && (isLosing || hasTimedOut)
    ? table.get(previous, column.recovering)
    : 0
}

/**
 * Whether an answer arrived after a reading. The time of an answer is computed from its age, and is inexact if the
 * process was interrupted between the two clocks. An answer since the previous reading is younger than that reading.
 * Half the age that the last answer had then therefore separates the two, on any path.
 */
function isLaterAnswer(table: Table, previous: number, answeredAt: number): boolean {
  const before = table.get(previous, column.answeredAt)
  const age = table.get(previous, column.at) - before
  return answeredAt > before + Math.max(CLOCK_TOLERANCE, age / 2)
}

/**
 * The number of questions that must go unanswered if the window was closed over data in flight. They are further apart
 * than others, because the kernel ends such a connection when its last ACK is older than two of its pauses: see
 * `retransmitMaxFor`.
 */
const RETRACTED_QUESTIONS = 2

/** The number of questions that must go unanswered on this path, in the present state of the connection. */
function questionsFor(table: Table, reading: number, plan: MonitorPlan): number {
  if (isRetracted(table, reading)) return RETRACTED_QUESTIONS
  if (isIdle(table, reading)) return idleQuestions(table, reading, plan)
  const questions = table.get(reading, column.questions)
  const unanswered = table.get(reading, column.unanswered)
  const least = table.get(reading, column.recovering) === 1 ? recoveryQuestions(plan) : 0
  const needed = Math.max(least, questionsNeeded(questions, unanswered))
  const lossy = isLossy(questions, unanswered, table.get(reading, column.rtt))
  return lossy ? Math.max(needed, questionsInDoubt(questions, unanswered)) : needed
}

/**
 * The least number of questions if the peer falls silent while the kernel sends lost segments again. A queue may have
 * dropped them. If others keep it full, it drops the next ones, too. The kernel then sends no loss probe. It
 * retransmits only at timeouts. They take seven times the first timeout: four of up to twice the first with
 * TCP_RTO_MAX_MS, and three without it, each twice the one before. A guard of ports sets the option only behind a
 * shut window.
 */
function recoveryQuestions({ retransmitMax, userTimeout }: MonitorPlan): number {
  return retransmitMax === false || userTimeout === false ? 4 : 5
}

/** This many losses on a connection say nothing about its path yet. */
const CHANCE_LOSSES = 1

/** The kernel's first timeout, ms. With a longer round trip, the first retransmits are not losses (RFC 6298). */
const FIRST_TIMEOUT = 1_000

/** Whether a short record has losses that matter. Less than one in twenty may be reordering. */
function isLossy(questions: number, unanswered: number, rtt: number): boolean {
  return unanswered > CHANCE_LOSSES && unanswered >= questions / 20 && !(rtt >= FIRST_TIMEOUT)
}

/**
 * The same for an idle peer, which the monitor can probe often. While the path's record is short, the peer is asked as
 * often as is necessary on a path that loses a fifth of its segments each way. While at most one loss is known, the
 * number is limited to what fits into the silence.
 */
function idleQuestions(table: Table, reading: number, plan: MonitorPlan): number {
  const questions = table.get(reading, column.questions)
  const unanswered = table.get(reading, column.unanswered)
  const needed = questionsNeeded(questions, unanswered)
  if (plan.keepAlive === false) return needed
  const inDoubt = questionsInDoubt(questions, unanswered)
  if (unanswered > CHANCE_LOSSES) return Math.max(needed, inDoubt)
  // On a longer path, the last answer takes the time of some questions.
  const longer = extraPathTime(table, reading)
  const fewer = Math.ceil(longer / Math.max(ANSWER_PACE, plan.probePace))
  return Math.max(needed, Math.min(inDoubt, plan.idleQuestions - fewer))
}
