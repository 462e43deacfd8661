// Puts looks beside each other: when the peer last answered, what it has been asked since, and what the path is like. Pure.
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
 * Puts a reading beside the one before: when did the peer last answer, and what has it been asked since?
 *
 * @param previous - where the reading before is in the table; `undefined` at the first
 * @param current - where the kernel's numbers are; what follows from them is written there too
 */
export function observe(
  table: Table,
  previous: number | undefined,
  current: number,
  plan: MonitorPlan,
  now: number,
): void {
  const told = (of: number): number => table.get(current, of)
  const answeredAt = now - Math.min(told(column.lastAckReceived), told(column.lastDataReceived))
  table.set(current, column.at, now)
  table.set(current, column.answeredAt, answeredAt)
  const answered = previous === undefined || isLaterAnswer(table, previous, answeredAt)
  recordPath(table, previous, current, answered, plan)
  let asked = 0
  if (isOutstanding(table, current)) {
    asked = answered
      ? questionsSinceAnswer(table, current)
      : table.get(previous, column.asked) + questionsBetween(table, previous, current)
  }
  if (isIdle(table, current)) asked = Math.min(asked, answerableProbes(table, current, plan))
  table.set(current, column.asked, asked)
  // A silence is judged by what the path was like before it: its record grows with answers only.
  const needed = questionsFor(table, current, plan)
  table.set(current, column.needed, needed)
  const before =
    previous === undefined || answered ? Number.NaN : table.get(previous, column.provedAt)
  table.set(current, column.provedAt, asked >= needed && Number.isNaN(before) ? now : before)
}

/**
 * Whether an answer came after a reading. By its age an answer has a time on our clock, and that is inexact where the process was
 * interrupted between the two clocks. An answer since that reading is younger than the reading, so half the age that the
 * last one had then keeps both apart, whatever the path.
 */
function isLaterAnswer(table: Table, previous: number, answeredAt: number): boolean {
  const before = table.get(previous, column.answeredAt)
  const age = table.get(previous, column.at) - before
  return answeredAt > before + Math.max(CLOCK_TOLERANCE, age / 2)
}

/** How many questions must go unanswered on this path, in what the connection is doing. */
function questionsFor(table: Table, reading: number, plan: MonitorPlan): number {
  if (isRetracted(table, reading)) return RETRACTED_QUESTIONS
  if (isIdle(table, reading)) return idleQuestions(table, reading, plan)
  const questions = table.get(reading, column.questions)
  const unanswered = table.get(reading, column.unanswered)
  const needed = questionsNeeded(questions, unanswered)
  const lossy = isLossy(questions, unanswered, table.get(reading, column.rtt))
  return lossy ? Math.max(needed, questionsInDoubt(questions, unanswered)) : needed
}

/** So many losses on a connection say nothing of its path yet. */
const CHANCE_LOSSES = 1

/** The kernel's first timeout, ms: where the round trip is longer, the first retransmits are no losses (RFC 6298). */
const FIRST_TIMEOUT = 1_000

/** Whether a short record has losses that matter: less than one in twenty may be reordering. */
function isLossy(questions: number, unanswered: number, rtt: number): boolean {
  return unanswered > CHANCE_LOSSES && unanswered >= questions / 20 && !(rtt >= FIRST_TIMEOUT)
}

/**
 * The same for an idle peer, which the monitor can ask often. While the path's record is short, it is asked as often as a path
 * that loses a fifth of its segments each way needs; but only as often as the silence has room for, as long as no more than
 * one loss is known.
 */
export function idleQuestions(table: Table, reading: number, plan: MonitorPlan): number {
  const questions = table.get(reading, column.questions)
  const unanswered = table.get(reading, column.unanswered)
  const needed = questionsNeeded(questions, unanswered)
  if (plan.keepAlive === false) return needed
  const inDoubt = questionsInDoubt(questions, unanswered)
  if (unanswered > CHANCE_LOSSES) return Math.max(needed, inDoubt)
  // The last answer of a longer path takes the time of some questions.
  const longer = extraPathTime(table, reading)
  const fewer = Math.ceil(longer / Math.max(ANSWER_PACE, plan.probePace))
  return Math.max(needed, Math.min(inDoubt, plan.idleQuestions - fewer))
}

/** Keepalive probes since the last answer, but for those that a living Linux peer would leave unanswered. */
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

/** Questions that have certainly left since the last answer, by one look. */
function questionsSinceAnswer(table: Table, reading: number): number {
  const told = (of: number): number => table.get(reading, of)
  // What was in flight when the answer came is one question.
  const inFlight = told(column.unackedSegments) > 0 && !isRetracted(table, reading) ? 1 : 0
  // Every ACK sets the count of probes back. That of timeouts only one of new data does; but in a time without an ACK there
  // were as many as it has timeouts of the present length, which has only grown.
  const timeouts = Math.floor(told(column.lastAckReceived) / told(column.rto))
  return Math.max(told(column.probes), inFlight + Math.min(told(column.retransmits), timeouts))
}

/**
 * Questions that have left between two looks without an answer: timeouts, probes, or new data. New segments count as one
 * however many they are: a burst is lost as a whole. While they keep leaving, the kernel does not retransmit at all, because
 * each of them puts its loss probe off (tcp_schedule_loss_probe).
 */
function questionsBetween(table: Table, previous: number, current: number): number {
  const more = (of: number): number => table.get(current, of) - table.get(previous, of)
  const sent = more(column.dataSegmentsSent) > 0 ? 1 : 0
  return Math.max(sent, more(column.retransmits), more(column.probes), 0)
}

/**
 * So many questions must go unanswered where the window was shut over data in flight. They are further apart than others,
 * because the kernel ends such a connection when its last ACK is older than two of its pauses: see `retransmitMaxFor`.
 */
const RETRACTED_QUESTIONS = 2

/** So many unanswered questions in a row are an outage and say nothing of the path before and after. */
const OUTAGE = 4
/** Older questions than about these count less and less. */
const REMEMBERED = 256
/** The most that the data of one look counts. */
const WEIGHT = 64

/** A peer with less than this has a buffer that the first burst may overflow, bytes. */
const SMALL_WINDOW = 32_768

/** Keeps the path's record, from one answer to the next: what was sent, and what of it was sent for nothing. */
function recordPath(
  table: Table,
  previous: number | undefined,
  current: number,
  answered: boolean,
  plan: MonitorPlan,
): void {
  const told = (of: number): number => table.get(current, of)
  const before = (of: number): number => (previous === undefined ? 0 : table.get(previous, of))
  // What may have left since the answer (timeouts, and the loss probe before them) belongs to the next one's record.
  const open = told(column.unackedSegments) > 0 ? told(column.retransmits) + 1 : 0
  const recorded = (known: number, of: number): number => {
    const count = before(known)
    return answered ? Math.max(count, told(of) - open) : count
  }
  const sent = recorded(column.recordedSegments, column.dataSegmentsSent)
  const resent = recorded(column.recordedRetransmits, column.totalRetransmits)
  let questions = before(column.questions)
  let unanswered = before(column.unanswered)
  if (previous !== undefined && answered && !(before(column.asked) > OUTAGE)) {
    const segments = sent - before(column.recordedSegments)
    if (segments > 0 && tellsOfPath(table, previous, current)) {
      const weight = Math.min(segments, WEIGHT)
      const retransmits = resent - before(column.recordedRetransmits)
      questions += weight
      unanswered += weight * Math.min(1, retransmits / segments)
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
  table.set(current, column.questions, questions / fade)
  table.set(current, column.unanswered, unanswered / fade)
}

/**
 * Whether what was retransmitted between two looks says how likely what is sent now gets lost. Retransmits into a shut window
 * stand for probes, and where a queue or the peer's buffer overflows, they are its doing.
 */
function tellsOfPath(table: Table, previous: number, current: number): boolean {
  const limited = column.windowLimited
  return !(
    isWindowShut(table, previous) ||
    isWindowShut(table, current) ||
    table.get(current, limited) > table.get(previous, limited) ||
    table.get(current, column.sendWindow) < SMALL_WINDOW ||
    isQueueing(table, current)
  )
}

/** Probes that an answer was due to at that look. The first leaves at a known time after the last answer. */
function overdueProbes(table: Table, reading: number, plan: MonitorPlan): number {
  const { keepAlive, retransmitMax } = plan
  const probes = table.get(reading, column.probes)
  const waits = table.get(reading, column.unsent) > 0
  // When a window was probed first is not known without TCP_RTO_MAX_MS. But all before the last probe had a timeout's time.
  if (waits && retransmitMax === false) return Math.max(0, probes - 1)
  const byWindow =
    retransmitMax === false ? Number.NaN : longestPause(table, reading, retransmitMax)
  const byKeepAlive = keepAlive === false ? Number.NaN : keepAlive.idle
  const firstAfter = waits ? byWindow : byKeepAlive
  const quiet = table.get(reading, column.at) - table.get(reading, column.answeredAt)
  if (!(quiet > firstAfter + answerWithin(table, reading))) return 0
  return isIdle(table, reading) ? answerableProbes(table, reading, plan) : probes
}
