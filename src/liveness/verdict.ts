// What the kernel's numbers mean. Pure: no clock, no socket, no memory but the previous observation.
// docs/liveness.md has the theory.
import { column, type Rows, TCP_CLOSE, TCP_CLOSE_WAIT } from '../socket/inspect.js'
import {
  answerWithin,
  LEAST_QUESTIONS,
  longestPause,
  type PathNumbers,
  questionsNeeded,
} from './path.js'
import type { LivenessPlan } from './plan.js'

/**
 * - `alive`: nothing wrong is known.
 * - `congested`: the path loses segments, and the peer still answers.
 * - `slow`: the peer answers, but its window holds bytes back.
 * - `half-closed`: the peer has sent FIN (a shutdown and a full close look alike until a write draws an RST).
 * - `dead`: the kernel has given up, or the peer has left everything unanswered for the plan's `silence`.
 */
export type Verdict = 'alive' | 'congested' | 'slow' | 'half-closed' | 'dead'

/** The numbers of a look at a socket that bear on its verdict. Times in ms; NaN where the kernel does not tell. */
export interface Look extends PathNumbers {
  /** TCP state, the kernel's number. */
  readonly state: number
  /** Segments in flight. */
  readonly unacked: number
  /** Bytes that wait in the kernel to be sent. */
  readonly unsent: number
  /** The window that the peer offers, bytes. */
  readonly sendWindow: number
  /** Timeouts in a row without an ACK of new data. */
  readonly retransmits: number
  /** The retransmission timeout in force, backed off. */
  readonly rto: number
  /** Keepalive or window probes in a row without an answer. */
  readonly probes: number
  /** Since the last ACK. */
  readonly lastAckReceived: number
  /** Since data came from the peer. */
  readonly lastDataReceived: number
  /** Segments believed lost now. */
  readonly lost: number
  /** Segments retransmitted over the connection's life. */
  readonly totalRetransmits: number
  /** Segments with data sent over the connection's life, retransmitted ones included. */
  readonly dataSegmentsSent: number
  /** Bytes acknowledged over the connection's life. */
  readonly bytesAcked: number
  /** Time that sending was held up by the peer's window, over the connection's life. */
  readonly windowLimited: number
}

/** A look, and what it means beside the one before. */
export interface Observation extends Look {
  /** When it was made, on the monitor's clock. */
  readonly at: number
  /** When the peer's last answer came: an ACK, or data. */
  readonly answeredAt: number
  /** How many questions are known to have been asked since, none of them answered. */
  readonly asked: number
  /** How many it takes on this path until the silence means something. */
  readonly needed: number
  /** The look that first found so many; `undefined` before. */
  readonly provedAt: number | undefined
  /** The path's record: questions over the connection's life (the older count less), and those that went unanswered. */
  readonly questions: number
  readonly unanswered: number
  /** `dataSegmentsSent` and `totalRetransmits` as far as they are in the record. */
  readonly recordedSegments: number
  readonly recordedRetransmits: number
}

/** Every number of an observation, in the order in which a row of the monitor's table has them. */
export const OBSERVED = [
  'state',
  'unacked',
  'unsent',
  'sendWindow',
  'retransmits',
  'rto',
  'probes',
  'lastAckReceived',
  'lastDataReceived',
  'lost',
  'totalRetransmits',
  'dataSegmentsSent',
  'bytesAcked',
  'windowLimited',
  'rtt',
  'rttVariation',
  'at',
  'answeredAt',
  'asked',
  'needed',
  'provedAt',
  'questions',
  'unanswered',
  'recordedSegments',
  'recordedRetransmits',
] as const satisfies readonly (keyof Observation)[]

/**
 * An observation that is overwritten by the next one: thousands of sockets are looked at all day, and what outlives a
 * look costs the garbage collector more than the look costs the kernel.
 */
export class Sight implements Observation {
  state = 0
  unacked = 0
  unsent = 0
  sendWindow = 0
  retransmits = 0
  rto = 0
  probes = 0
  lastAckReceived = 0
  lastDataReceived = 0
  lost = 0
  totalRetransmits = 0
  dataSegmentsSent = 0
  bytesAcked = 0
  windowLimited = 0
  rtt = 0
  rttVariation = 0
  at = 0
  answeredAt = 0
  asked = 0
  needed = LEAST_QUESTIONS
  provedAt: number | undefined = undefined
  questions = 0
  unanswered = 0
  recordedSegments = 0
  recordedRetransmits = 0

  /** Reads one row of a sweep. */
  read({ numbers, width }: Rows, index: number): this {
    const row = index * width
    this.state = numbers[row + column.state] as number
    this.unacked = numbers[row + column.unacked] as number
    this.unsent = numbers[row + column.unsent] as number
    this.sendWindow = numbers[row + column.sendWindow] as number
    this.retransmits = numbers[row + column.retransmits] as number
    this.rto = (numbers[row + column.rto] as number) / 1000
    this.probes = numbers[row + column.probes] as number
    this.lastAckReceived = numbers[row + column.lastAckReceived] as number
    this.lastDataReceived = numbers[row + column.lastDataReceived] as number
    this.lost = numbers[row + column.lost] as number
    this.totalRetransmits = numbers[row + column.totalRetransmits] as number
    this.dataSegmentsSent = numbers[row + column.dataSegmentsSent] as number
    this.bytesAcked = numbers[row + column.bytesAcked] as number
    this.windowLimited = (numbers[row + column.windowLimited] as number) / 1000
    this.rtt = (numbers[row + column.rtt] as number) / 1000
    this.rttVariation = (numbers[row + column.rttVariation] as number) / 1000
    return this
  }
}

/** A copy that stays as it is: observations are overwritten by the next look. */
export function copyOf(observation: Observation, copy: Sight = new Sight()): Sight {
  for (const field of OBSERVED) copy[field] = observation[field] as number
  return copy
}

/** The kernel's clocks are coarse (10 ms at HZ = 100) and not ours. */
const CLOCK_TOLERANCE = 20

/**
 * Puts a look beside the previous observation: when did the peer last answer, and what has it been asked since?
 *
 * @param into - has the numbers of the look, and becomes the new observation; not `previous`
 */
export function observe(
  previous: Observation | undefined,
  into: Sight,
  plan: LivenessPlan,
  now: number,
): Sight {
  into.at = now
  into.answeredAt = now - Math.min(into.lastAckReceived, into.lastDataReceived)
  const answered = previous === undefined || into.answeredAt > previous.answeredAt + CLOCK_TOLERANCE
  recordPath(previous, into, answered, plan)
  if (!isOutstanding(into)) into.asked = 0
  else if (answered) into.asked = questionsSinceAnswer(into)
  else into.asked = previous.asked + questionsBetween(previous, into)
  // A silence is judged by what the path was like before it.
  if (previous === undefined || into.asked === 0 || answered) {
    into.needed = questionsNeeded(into.questions, into.unanswered)
    into.provedAt = undefined
  } else {
    into.needed = previous.needed
    into.provedAt = previous.provedAt
  }
  if (into.asked >= into.needed) into.provedAt ??= now
  return into
}

/** Whether the peer owes an answer: data in flight, or a probe. */
function isOutstanding({ unacked, probes }: Look): boolean {
  return unacked > 0 || probes > 0
}

/** Questions that have certainly left since the last answer, by one look. */
function questionsSinceAnswer({ probes, retransmits, rto, lastAckReceived }: Look): number {
  // Every ACK sets the count of probes back. That of timeouts only one of new data does; but in a time without an ACK there
  // were as many as it has timeouts of the present length, which has only grown.
  return Math.max(probes, Math.min(retransmits, Math.floor(lastAckReceived / rto)))
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

/** So many unanswered questions in a row are an outage and say nothing of the path before and after. */
const OUTAGE = 4
/** Older questions than about these count less and less. */
const REMEMBERED = 256
/** The most that the data of one look counts. */
const WEIGHT = 64

/** Keeps the path's record, from one answer to the next: what was sent, and what of it was sent for nothing. */
function recordPath(
  previous: Observation | undefined,
  into: Sight,
  answered: boolean,
  plan: LivenessPlan,
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
  // Where the window is shut over data in flight, retransmits stand for probes: they say nothing of losses.
  if (segments > 0 && !isWindowShut(previous) && !isWindowShut(into)) {
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
function overdueProbes(look: Observation, { keepAlive, retransmitMax }: LivenessPlan): number {
  const byWindow = retransmitMax === false ? Number.NaN : longestPause(look, retransmitMax)
  const byKeepAlive = keepAlive === false ? Number.NaN : keepAlive.idle
  const firstAfter = look.unsent > 0 ? byWindow : byKeepAlive
  const overdue = look.at - look.answeredAt > firstAfter + answerWithin(look)
  return overdue ? look.probes : 0
}

/** How long the peer has left something unanswered, by an observation. */
export function silentFor(observation: Observation, now: number = observation.at): number {
  return observation.asked > 0 ? now - observation.answeredAt : 0
}

/**
 * Judges a connection by two looks. Pure, and in this order; docs/liveness.md has the table.
 *
 * @param previous - the look before, or `undefined` at the first
 * @param current - this look
 * @param now - the time of the judgement, on the clock of the observations
 * @example
 * judge(before, after, livenessPlan(10_000), after.at) // 'alive', 'congested', 'slow', 'half-closed' or 'dead'
 */
export function judge(
  previous: Observation | undefined,
  current: Observation,
  plan: LivenessPlan,
  now: number,
): Verdict {
  if (current.state === TCP_CLOSE) return 'dead'
  // Before the half-close: one who may read on after his FIN can vanish like any other.
  if (now >= deadAt(current, plan)) return 'dead'
  if (current.state === TCP_CLOSE_WAIT) return 'half-closed'
  if (isWindowShut(current) || isHeldByWindow(previous, current)) return 'slow'
  if (isLosing(previous, current)) return 'congested'
  return 'alive'
}

/**
 * When the peer will be dead if it goes on like this: its last answer is then as old as the plan's silence, it has been asked
 * as often as its path needs, and the last of these questions has had the time that an answer takes on it. `Infinity`
 * as long as it has not been asked that often.
 */
export function deadAt(current: Observation, plan: LivenessPlan): number {
  if (current.provedAt === undefined) return Number.POSITIVE_INFINITY
  const answerTime = answerWithin(current)
  // Where the kernel does not tell the path's round trip, it is a short one.
  const answerable = Number.isNaN(answerTime) ? current.provedAt : current.provedAt + answerTime
  return Math.max(current.answeredAt + plan.silence, answerable)
}

/** Whether the peer was asked more than once and has not answered yet. */
export function isUnanswered({ asked }: Observation): boolean {
  return asked >= 2
}

/** Whether only the peer's window is in the way: bytes wait and none is in flight, or it was shut over those in flight. */
export function isWindowShut({ unsent, unacked, sendWindow }: Look): boolean {
  if (unacked > 0) return sendWindow === 0
  return unsent > 0
}

/** Bytes wait, and for most of the time between the looks the window was what they waited for. */
function isHeldByWindow(previous: Observation | undefined, current: Observation): boolean {
  if (previous === undefined || !(current.unsent > 0)) return false
  const held = current.windowLimited - previous.windowLimited
  return held > (current.at - previous.at) / 2
}

function isLosing(previous: Observation | undefined, current: Observation): boolean {
  if (!(current.unacked > 0)) return false
  const more = previous !== undefined && current.totalRetransmits > previous.totalRetransmits
  return current.retransmits > 0 || current.lost > 0 || more
}
