// Computes TCP_USER_TIMEOUT and TCP_RTO_MAX_MS of a connection. Pure.
//
// The kernel has clocks that an answer does not reset. It ends a connection when one of them has run for
// TCP_USER_TIMEOUT:
// - `icsk_probes_tstamp` starts with the first probe of a closed window. It restarts only when an ACK opens the window
//   for the whole first unsent segment (tcp_ack_probe). After a window that opens in small steps, the old start
//   remains.
// - `retrans_stamp` starts with the first retransmit. It is cleared only when everything that was in flight then is
//   acknowledged (retransmits_timed_out, tcp_rtx_probe0_timed_out).
//
// The option is therefore always set to the largest value that such a clock can have, plus a lead.

import { LONGEST_RETRANSMIT_MAX } from '../native/kernel-defaults.js'
import type { Table } from '../tcp/record.js'
import { CLOCK_TOLERANCE, longestPause } from './path.js'
import type { MonitorPlan } from './plan.js'
import { column, isRetracted, isWindowShut } from './reading.js'

/** When the clocks were last known not to run: the earliest time at which they can have started. */
export interface KernelClocks {
  /** The last time at which the window had never limited sending. */
  readonly windowClearAt: number
  /** The last time at which nothing had ever been retransmitted. */
  readonly lossClearAt: number
}

/** The largest value that the kernel accepts: 24 days. */
const LONGEST_USER_TIMEOUT = 2 ** 31 - 1

/**
 * Returns TCP_USER_TIMEOUT in milliseconds.
 *
 * @param inForce - the current value; NaN before the first. It is kept while its lead is long enough, to avoid setting
 * it at each sample
 */
export function userTimeoutFor(
  table: Table,
  current: number,
  clocks: KernelClocks,
  plan: MonitorPlan,
  now: number,
  inForce: number,
): number {
  if (plan.userTimeout === false) return inForce
  const windowAge = table.get(current, column.windowLimited) === 0 ? 0 : now - clocks.windowClearAt
  const lossAge = table.get(current, column.totalRetransmits) === 0 ? 0 : now - clocks.lossClearAt
  if (plan.shutWindowLead !== false && isWindowShut(table, current)) {
    // With data in flight, the retransmit timer runs, with the other clock.
    const age = table.get(current, column.unackedSegments) > 0 ? lossAge : windowAge
    return bounded(age + plan.shutWindowLead)
  }
  const age = Math.max(windowAge, lossAge)
  if (age === 0) return bounded(plan.userTimeout)
  const lead = inForce - age
  const longEnough = lead >= plan.userTimeout && lead <= 2 * plan.userTimeout
  return longEnough ? inForce : bounded(age + 1.5 * plan.userTimeout)
}

function bounded(milliseconds: number, most = LONGEST_USER_TIMEOUT): number {
  return Math.ceil(Math.min(milliseconds, most))
}

/**
 * Returns TCP_RTO_MAX_MS in milliseconds: at least twice what the path needs. With less, every timeout would be
 * spurious.
 *
 * @param inForce - the current value. It is kept unless it is too small or much larger than necessary
 */
export function retransmitMaxFor(
  table: Table,
  current: number,
  plan: MonitorPlan,
  inForce: number,
): number {
  if (plan.retransmitMax === false) return inForce
  // Without TCP_USER_TIMEOUT, the kernel ends a connection after tcp_retries2 timeouts, and answers on a lossy path do
  // not reset these. Probes of a closed window count from the last answer.
  if (plan.userTimeout === false && !isWindowShut(table, current)) return LONGEST_RETRANSMIT_MAX
  const pause = longestPause(table, current, plan.retransmitMax)
  const wanted = bounded(pause, LONGEST_RETRANSMIT_MAX)
  if (isRetracted(table, current)) return Math.max(wanted, retractedPause(table, current, plan))
  return inForce >= wanted && inForce <= 1.25 * wanted ? inForce : wanted
}

/**
 * If the window was closed over data in flight, the kernel ends the connection at the first timeout at which its last
 * ACK is older than twice the option (tcp_rtx_probe0_timed_out). The pauses are short while the peer answers. When it
 * has not answered, the limit is raised to the whole silence, before the next timeout is due. Questions then leave at
 * 23, 46 and 92 % of the silence, so that a tolerated outage ends before the last of them.
 */
function retractedPause(table: Table, current: number, { silence }: MonitorPlan): number {
  if (table.get(current, column.asked) > 0) return Math.ceil(silence / 2 + CLOCK_TOLERANCE)
  // A running timer may be longer. The kernel compares it with the option's value when it fires.
  const running = table.get(current, column.rto) / 2 + CLOCK_TOLERANCE
  return Math.ceil(Math.max(0.23 * silence, running))
}
