// The record of a path: how many of the questions on a connection went unanswered. Pure. docs/liveness.md has the theory.
import type { Table } from '../tcp/record.js'
import { answerWithin, isQueueing, longestPause } from './path.js'
import type { MonitorPlan } from './plan.js'
import { answerableProbes } from './questions.js'
import { column, isWindowShut } from './reading.js'

/** This many consecutive unanswered questions are an outage. They say nothing about the path before and after it. */
const OUTAGE = 4
/** After about this many questions, older ones lose weight. */
const REMEMBERED = 256
/** The largest weight of the data of one sample. */
const WEIGHT = 64

/**
 * The part of a retransmit that does not count if the peer reports that it had the segment already (DSACK, RFC 2883).
 * Then the answer was lost, or it was late: with several segments in flight on a short path, the kernel's loss probe
 * waits for a few milliseconds only. All other losses count twice, because answers get lost too (`questionsNeeded`).
 * These are such answers.
 */
const DUPLICATE = 0.5

/** The buffer of a peer with a smaller window may overflow from the first burst, bytes. */
const SMALL_WINDOW = 32_768

/** Updates the path's record from one answer to the next: the segments sent, and those that had to be sent again. */
export function recordPath(
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
  const reported = told(column.reportedDuplicates) || 0
  const reports = answered ? Math.max(0, reported - before(column.recordedDuplicates)) : 0
  let questions = before(column.questions)
  let unanswered = before(column.unanswered)
  const segments = sent - before(column.recordedSegments)
  const isLater = !answered || segments === 0
  table.set(current, column.unreported, isLater ? before(column.unreported) : 0)
  table.set(current, column.unmatched, isLater ? before(column.unmatched) + reports : 0)
  if (previous !== undefined && answered && !(before(column.asked) > OUTAGE)) {
    if (segments > 0 && tellsOfPath(table, previous, current)) {
      const weight = Math.min(segments, WEIGHT)
      const retransmits = resent - before(column.recordedRetransmits)
      const lost = weight * Math.min(1, retransmits / segments)
      const duplicates = matchReports(table, previous, current, lost, reports)
      questions += weight
      unanswered = Math.max(0, unanswered + lost - DUPLICATE * duplicates)
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
  table.set(
    current,
    column.recordedDuplicates,
    answered ? reported : before(column.recordedDuplicates),
  )
  table.set(current, column.unreported, table.get(current, column.unreported) / fade)
  table.set(current, column.questions, questions / fade)
  table.set(current, column.unanswered, unanswered / fade)
}

/**
 * Matches reports of duplicates with losses, and returns how many match. A report may come one answer after the loss is
 * recorded, or one before. Older losses are not matched.
 */
function matchReports(
  table: Table,
  previous: number,
  current: number,
  lost: number,
  reports: number,
): number {
  const candidates = lost + table.get(previous, column.unreported)
  const duplicates = Math.min(reports + table.get(previous, column.unmatched), candidates)
  table.set(current, column.unreported, Math.min(lost, candidates - duplicates))
  table.set(current, column.unmatched, Math.max(0, reports - duplicates))
  return duplicates
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
  return answerableProbes(table, reading, plan)
}
