// Compares readings: when the peer last answered, what it has been asked since, and what the path is like. Pure.
// docs/liveness.md has the theory.
import type { Table } from '../tcp/record.js'
import {
  ANSWER_PACE,
  answerWithin,
  CLOCK_TOLERANCE,
  extraPathTime,
  isQueueing,
  longestPause,
  questionsInDoubt,
  questionsNeeded,
} from './path.js'
import type { MonitorPlan } from './plan.js'
import { column, isIdle, isRetracted, isWindowShut } from './reading.js'

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
      ? questionsSinceAnswer(table, current)
      : before(column.asked) + questionsBetween(table, previous, current)
  }
  if (isIdle(table, current)) asked = Math.min(asked, answerableProbes(table, current, plan))
  table.set(current, column.asked, asked)
  const overflowed = answered ? hasOverflowed(table, current) : before(column.overflowed)
  table.set(current, column.overflowed, overflowed)
  // A silence is judged by the path before it, so the path's record grows only with answers.
  const needed = questionsFor(table, current, plan)
  table.set(current, column.needed, needed)
  const provedBefore = answered ? Number.NaN : before(column.provedAt)
  const isNew = asked >= needed && Number.isNaN(provedBefore)
  table.set(current, column.provedAt, isNew ? now : provedBefore)
}

/** Whether a full queue has dropped segments that are not repaired yet: 1 or 0. */
function hasOverflowed(table: Table, reading: number): number {
  return isQueueing(table, reading) && table.get(reading, column.lost) > 0 ? 1 : 0
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

/** The number of questions that must go unanswered on this path, in the present state of the connection. */
function questionsFor(table: Table, reading: number, plan: MonitorPlan): number {
  if (isRetracted(table, reading)) return RETRACTED_QUESTIONS
  if (isIdle(table, reading)) return idleQuestions(table, reading, plan)
  const questions = table.get(reading, column.questions)
  const unanswered = table.get(reading, column.unanswered)
  const least = table.get(reading, column.overflowed) === 1 ? OVERFLOW_QUESTIONS : 0
  const needed = Math.max(least, questionsNeeded(questions, unanswered))
  const lossy = isLossy(questions, unanswered, table.get(reading, column.rtt))
  return lossy ? Math.max(needed, questionsInDoubt(questions, unanswered)) : needed
}

/**
 * The least number of questions after a queue on the path has overflowed. Others may keep the queue full, and it then
 * drops what is sent again, too. The kernel sends no loss probe during a repair, only timeouts follow.
 */
const OVERFLOW_QUESTIONS = 5

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

/** Keepalive probes since the last answer, without those that a living Linux peer would leave unanswered. */
function answerableProbes(table: Table, reading: number, { keepAlive }: MonitorPlan): number {
  const probes = table.get(reading, column.probes)
  if (keepAlive === false) return probes
  const silence = table.get(reading, column.at) - table.get(reading, column.answeredAt)
  const asking = silence - keepAlive.idle
  return Math.min(probes, 1 + Math.max(0, Math.floor(asking / ANSWER_PACE)))
}

/** Whether the peer owes an answer: data in flight, or a probe. */
function isOutstanding(table: Table, reading: number): boolean {
  return table.get(reading, column.unackedSegments) > 0 || table.get(reading, column.probes) > 0
}

/** The number of questions that have certainly been sent since the last answer, from one reading. */
function questionsSinceAnswer(table: Table, reading: number): number {
  const told = (of: number): number => table.get(reading, of)
  // The data in flight when the answer arrived is one question.
  const inFlight = told(column.unackedSegments) > 0 && !isRetracted(table, reading) ? 1 : 0
  // Every ACK resets the count of probes. Only an ACK of new data resets the count of timeouts. In a time without an
  // ACK, though, there were at least as many timeouts as it has timeouts of the present length, which has only grown.
  const timeouts = Math.floor(told(column.lastAckReceived) / told(column.rto))
  // Probes were sent before the data in flight: see `questionsBetween`.
  return told(column.probes) + inFlight + Math.min(told(column.retransmits), timeouts)
}

/**
 * The number of questions sent between two readings without an answer: timeouts, probes or new data. New segments count
 * as one, however many they are, because a burst is lost as a whole. While new segments keep being sent, the kernel
 * does not retransmit, because each of them postpones its loss probe (tcp_schedule_loss_probe). The kernel sends no
 * probe while data is in flight (tcp_keepalive_timer, tcp_probe_timer), so the probes came before the data.
 */
function questionsBetween(table: Table, previous: number, current: number): number {
  const more = (of: number): number => Math.max(0, table.get(current, of) - table.get(previous, of))
  const timeouts = more(column.retransmits)
  const first = isIdle(table, previous) && table.get(current, column.unackedSegments) > 0 ? 1 : 0
  // Data that is sent again is in both counts.
  const sent = more(column.dataSegmentsSent) > 0 ? 1 : 0
  return more(column.probes) + Math.max(first + timeouts, sent)
}

/**
 * The number of questions that must go unanswered if the window was closed over data in flight. They are further apart
 * than others, because the kernel ends such a connection when its last ACK is older than two of its pauses: see
 * `retransmitMaxFor`.
 */
const RETRACTED_QUESTIONS = 2

/** This many consecutive unanswered questions are an outage. They say nothing about the path before and after it. */
const OUTAGE = 4
/** After about this many questions, older ones lose weight. */
const REMEMBERED = 256
/** The largest weight of the data of one sample. */
const WEIGHT = 64

/**
 * The part of a retransmit that does not count if the peer reports that it had the segment already (DSACK, RFC 2883).
 * Then the answer was lost, or it was late: on a short path, the kernel's loss probe waits for a few milliseconds only.
 * All other losses count twice, because answers get lost too (`questionsNeeded`); these are such answers.
 */
const DUPLICATE = 0.5

/** The buffer of a peer with a smaller window may overflow from the first burst, bytes. */
const SMALL_WINDOW = 32_768

/** Updates the path's record from one answer to the next: the segments sent, and those that had to be sent again. */
function recordPath(
  table: Table,
  previous: number | undefined,
  current: number,
  answered: boolean,
  plan: MonitorPlan,
): void {
  const told = (of: number): number => table.get(current, of)
  const before = (of: number): number => (previous === undefined ? 0 : table.get(previous, of))
  // Segments that may have been sent since the answer (timeouts, and the loss probe before them) belong to the next
  // record.
  const open = told(column.unackedSegments) > 0 ? told(column.retransmits) + 1 : 0
  const recorded = (known: number, of: number): number => {
    const count = before(known)
    return answered ? Math.max(count, told(of) - open) : count
  }
  const sent = recorded(column.recordedSegments, column.dataSegmentsSent)
  const resent = recorded(column.recordedRetransmits, column.totalRetransmits)
  const doubled = answered
    ? told(column.reportedDuplicates) || 0
    : before(column.recordedDuplicates)
  let questions = before(column.questions)
  let unanswered = before(column.unanswered)
  if (previous !== undefined && answered && !(before(column.asked) > OUTAGE)) {
    const segments = sent - before(column.recordedSegments)
    if (segments > 0 && tellsOfPath(table, previous, current)) {
      const weight = Math.min(segments, WEIGHT)
      const retransmits = resent - before(column.recordedRetransmits)
      const duplicates = doubled - before(column.recordedDuplicates)
      const lost = retransmits - DUPLICATE * duplicates
      questions += weight
      unanswered = Math.max(0, unanswered + weight * Math.min(1, lost / segments))
    }
    if (before(column.unackedSegments) === 0) {
      const lost = overdueProbes(table, previous, plan)
      questions += lost + 1
      unanswered += lost
    }
  }
  const fade = questions > REMEMBERED ? 2 : 1
  table.set(current, column.recordedSegments, sent)
  table.set(current, column.recordedRetransmits, resent)
  table.set(current, column.recordedDuplicates, doubled)
  table.set(current, column.questions, questions / fade)
  table.set(current, column.unanswered, unanswered / fade)
}

/**
 * Whether the retransmits between two readings say how likely a loss is now. Retransmits into a closed window replace
 * probes. If a queue or the peer's buffer overflows, the retransmits are caused by the overflow and not by the path.
 */
function tellsOfPath(table: Table, previous: number, current: number): boolean {
  const limited = column.windowLimited
  return !(
    isWindowShut(table, previous) ||
    isWindowShut(table, current) ||
    table.get(current, limited) > table.get(previous, limited) ||
    table.get(current, column.sendWindow) < SMALL_WINDOW ||
    isQueueing(table, previous) ||
    isQueueing(table, current)
  )
}

/** The number of probes that were overdue at a reading. The first is sent at a known time after the last answer. */
function overdueProbes(table: Table, reading: number, plan: MonitorPlan): number {
  const { keepAlive, retransmitMax } = plan
  const probes = table.get(reading, column.probes)
  const waits = table.get(reading, column.unsent) > 0
  // Without TCP_RTO_MAX_MS, the time of the first window probe is unknown. All probes before the last had the time of a
  // timeout.
  if (waits && retransmitMax === false) return Math.max(0, probes - 1)
  const byWindow =
    retransmitMax === false ? Number.NaN : longestPause(table, reading, retransmitMax)
  const byKeepAlive = keepAlive === false ? Number.NaN : keepAlive.idle
  const firstAfter = waits ? byWindow : byKeepAlive
  const quiet = table.get(reading, column.at) - table.get(reading, column.answeredAt)
  if (!(quiet > firstAfter + answerWithin(table, reading))) return 0
  return isIdle(table, reading) ? answerableProbes(table, reading, plan) : probes
}
