// What a peer has been asked: the questions that the kernel and the application have sent. Pure. docs/liveness.md has the
// theory.
import type { Table } from '../tcp/record.js'
import { ANSWER_PACE } from './path.js'
import type { MonitorPlan } from './plan.js'
import { column, isIdle, isRetracted, isWindowShut } from './reading.js'

/** Probes since the last answer. Of keepalive probes, only those that a living Linux peer would answer count. */
export function answerableProbes(
  table: Table,
  reading: number,
  { keepAlive }: MonitorPlan,
): number {
  const probes = table.get(reading, column.probes)
  if (keepAlive === false || isWindowShut(table, reading)) return probes
  const silence = table.get(reading, column.at) - table.get(reading, column.answeredAt)
  const asking = silence - keepAlive.idle
  return Math.min(probes, 1 + Math.max(0, Math.floor(asking / ANSWER_PACE)))
}

/** Whether the peer owes an answer: data in flight, or a probe. */
export function isOutstanding(table: Table, reading: number): boolean {
  return table.get(reading, column.unackedSegments) > 0 || table.get(reading, column.probes) > 0
}

/** The number of questions that have certainly been sent since the last answer, from one reading. */
export function questionsSinceAnswer(table: Table, reading: number, plan: MonitorPlan): number {
  const told = (of: number): number => table.get(reading, of)
  // The data in flight when the answer arrived is one question.
  const inFlight = told(column.unackedSegments) > 0 && !isRetracted(table, reading) ? 1 : 0
  // Every ACK resets the count of probes. Only an ACK of new data resets the count of timeouts. In a time without an
  // ACK, though, there were at least as many timeouts as it has timeouts of the present length, which has only grown.
  const timeouts = Math.floor(told(column.lastAckReceived) / told(column.rto))
  // Probes were sent before the data in flight: see `questionsBetween`.
  const probes = answerableProbes(table, reading, plan)
  return probes + inFlight + Math.min(told(column.retransmits), timeouts)
}

/**
 * The number of questions sent between two readings without an answer: timeouts, probes or new data. New segments count
 * as one, however many they are, because a burst is lost as a whole. While new segments keep being sent, the kernel
 * does not retransmit, because each of them postpones its loss probe (tcp_schedule_loss_probe). The kernel sends no
 * probe while data is in flight (tcp_keepalive_timer, tcp_probe_timer), so the probes came before the data.
 */
export function questionsBetween(
  table: Table,
  previous: number,
  current: number,
  plan: MonitorPlan,
): number {
  const more = (of: number): number => Math.max(0, table.get(current, of) - table.get(previous, of))
  const timeouts = more(column.retransmits)
  const wasIdle = isIdle(table, previous)
  const first = wasIdle && table.get(current, column.unackedSegments) > 0 ? 1 : 0
  // Data that is sent again is in both counts.
  const sent = more(column.dataSegmentsSent) > 0 ? 1 : 0
  const answerable = answerableProbes(table, current, plan) - table.get(previous, column.asked)
  const probes = wasIdle
    ? Math.min(more(column.probes), Math.max(0, answerable))
    : more(column.probes)
  return probes + Math.max(first + timeouts, sent)
}
