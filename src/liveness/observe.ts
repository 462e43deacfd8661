// Puts looks beside each other: when the peer last answered, what it has been asked since, and what the path is like. Pure.
// docs/liveness.md has the theory.
import {
  isIdle,
  isRetracted,
  isWindowShut,
  type Look,
  type Observation,
  type Sight,
} from './observation.js'
import {
  ANSWER_PACE,
  answerWithin,
  CLOCK_TOLERANCE,
  isQueueing,
  longerThanShort,
  longestPause,
  questionsInDoubt,
  questionsNeeded,
} from './path.js'
import type { MonitorPlan } from './plan.js'

/**
 * Puts a look beside the previous observation: when did the peer last answer, and what has it been asked since?
 *
 * @param into - has the numbers of the look, and becomes the new observation; not `previous`
 */
export function observe(
  previous: Observation | undefined,
  into: Sight,
  plan: MonitorPlan,
  now: number,
): Sight {
  into.at = now
  into.answeredAt = now - Math.min(into.lastAckReceived, into.lastDataReceived)
  const answered = previous === undefined || into.answeredAt > previous.answeredAt + CLOCK_TOLERANCE
  recordPath(previous, into, answered, plan)
  if (!isOutstanding(into)) into.asked = 0
  else if (answered) into.asked = questionsSinceAnswer(into)
  else into.asked = previous.asked + questionsBetween(previous, into)
  if (isIdle(into)) into.asked = Math.min(into.asked, answerableProbes(into, plan))
  // A silence is judged by what the path was like before it: its record grows with answers only.
  into.needed = questionsFor(into, plan)
  into.provedAt = previous === undefined || answered ? undefined : previous.provedAt
  if (into.asked >= into.needed) into.provedAt ??= now
  return into
}

/** How many questions must go unanswered on this path, in what the connection is doing. */
function questionsFor(look: Observation, plan: MonitorPlan): number {
  if (isRetracted(look)) return RETRACTED_QUESTIONS
  if (isIdle(look)) return idleQuestions(look, plan)
  const { questions, unanswered } = look
  const needed = questionsNeeded(questions, unanswered)
  return isLossy(look) ? Math.max(needed, questionsInDoubt(questions, unanswered)) : needed
}

/** So many losses on a connection say nothing of its path yet. */
const CHANCE_LOSSES = 1

/** The kernel's first timeout, ms: where the round trip is longer, the first retransmits are no losses (RFC 6298). */
const FIRST_TIMEOUT = 1_000

/** Whether a short record has losses that matter: less than one in twenty may be reordering. */
function isLossy({ questions, unanswered, rtt }: Observation): boolean {
  return unanswered > CHANCE_LOSSES && unanswered >= questions / 20 && !(rtt >= FIRST_TIMEOUT)
}

/**
 * The same for an idle peer, which the monitor can ask often. While the path's record is short, it is asked as often as a path
 * that loses a fifth of its segments each way needs; but only as often as the silence has room for, as long as no more than
 * one loss is known.
 */
export function idleQuestions(look: Observation, plan: MonitorPlan): number {
  const { questions, unanswered } = look
  const needed = questionsNeeded(questions, unanswered)
  if (plan.keepAlive === false) return needed
  const inDoubt = questionsInDoubt(questions, unanswered)
  if (unanswered > CHANCE_LOSSES) return Math.max(needed, inDoubt)
  // The last answer of a longer path takes the time of some questions.
  const fewer = Math.ceil(longerThanShort(look) / Math.max(ANSWER_PACE, plan.probePace))
  return Math.max(needed, Math.min(inDoubt, plan.idleQuestions - fewer))
}

/** Keepalive probes since the last answer, but for those that a living Linux peer would leave unanswered. */
function answerableProbes(
  { at, answeredAt, probes }: Observation,
  { keepAlive }: MonitorPlan,
): number {
  if (keepAlive === false) return probes
  const asking = at - answeredAt - keepAlive.idle
  return Math.min(probes, 1 + Math.max(0, Math.floor(asking / ANSWER_PACE)))
}

/** Whether the peer owes an answer: data in flight, or a probe. */
function isOutstanding({ unacked, probes }: Look): boolean {
  return unacked > 0 || probes > 0
}

/** Questions that have certainly left since the last answer, by one look. */
function questionsSinceAnswer(look: Look): number {
  const { probes, unacked, retransmits, rto, lastAckReceived } = look
  // What was in flight when the answer came is one question.
  const inFlight = unacked > 0 && !isRetracted(look) ? 1 : 0
  // Every ACK sets the count of probes back. That of timeouts only one of new data does; but in a time without an ACK there
  // were as many as it has timeouts of the present length, which has only grown.
  return Math.max(probes, inFlight + Math.min(retransmits, Math.floor(lastAckReceived / rto)))
}

/**
 * Questions that have left between two looks without an answer: timeouts, probes, or new data. New segments count as one
 * however many they are: a burst is lost as a whole. While they keep leaving, the kernel does not retransmit at all, because
 * each of them puts its loss probe off (tcp_schedule_loss_probe).
 */
function questionsBetween(previous: Look, look: Look): number {
  const sent = look.dataSegmentsSent > previous.dataSegmentsSent ? 1 : 0
  return Math.max(sent, look.retransmits - previous.retransmits, look.probes - previous.probes, 0)
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
  previous: Observation | undefined,
  into: Sight,
  answered: boolean,
  plan: MonitorPlan,
): void {
  into.questions = previous?.questions ?? 0
  into.unanswered = previous?.unanswered ?? 0
  // What may have left since the answer (timeouts, and the loss probe before them) belongs to the next one's record.
  const open = into.unacked > 0 ? into.retransmits + 1 : 0
  const begins = previous === undefined || answered
  const { recordedSegments: before = 0, recordedRetransmits: lostBefore = 0 } = previous ?? {}
  into.recordedSegments = begins ? Math.max(before, into.dataSegmentsSent - open) : before
  into.recordedRetransmits = begins
    ? Math.max(lostBefore, into.totalRetransmits - open)
    : lostBefore
  if (previous === undefined || !answered || previous.asked > OUTAGE) return
  const segments = into.recordedSegments - previous.recordedSegments
  // Retransmits into a shut window stand for probes. Where a queue or the peer's buffer overflows, they are its doing. Neither
  // says how likely what is sent now gets lost.
  const byWindow =
    isWindowShut(previous) ||
    isWindowShut(into) ||
    into.windowLimited > previous.windowLimited ||
    into.sendWindow < SMALL_WINDOW
  if (segments > 0 && !byWindow && !isQueueing(into)) {
    const weight = Math.min(segments, WEIGHT)
    const retransmits = into.recordedRetransmits - previous.recordedRetransmits
    into.questions += weight
    into.unanswered += weight * Math.min(1, retransmits / segments)
  }
  if (previous.unacked === 0) {
    const lost = overdueProbes(previous, plan)
    into.questions += lost + 1
    into.unanswered += lost
  }
  if (into.questions <= REMEMBERED) return
  into.questions /= 2
  into.unanswered /= 2
}

/** Probes that an answer was due to at that look. The first leaves at a known time after the last answer. */
function overdueProbes(look: Observation, plan: MonitorPlan): number {
  const { keepAlive, retransmitMax } = plan
  // When a window was probed first is not known without TCP_RTO_MAX_MS. But all before the last probe had a timeout's time.
  if (look.unsent > 0 && retransmitMax === false) return Math.max(0, look.probes - 1)
  const byWindow = retransmitMax === false ? Number.NaN : longestPause(look, retransmitMax)
  const byKeepAlive = keepAlive === false ? Number.NaN : keepAlive.idle
  const firstAfter = look.unsent > 0 ? byWindow : byKeepAlive
  const overdue = look.at - look.answeredAt > firstAfter + answerWithin(look)
  if (!overdue) return 0
  return isIdle(look) ? answerableProbes(look, plan) : look.probes
}
