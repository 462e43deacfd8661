// TCP_USER_TIMEOUT and TCP_RTO_MAX_MS of a connection, as they should be now. Pure.
//
// The kernel has clocks that an answer does not set back, and ends a connection when one of them has run for TCP_USER_TIMEOUT:
// - `icsk_probes_tstamp` starts with the first probe of a shut window, and starts anew only when an ACK opens the window
//   for the whole first unsent segment (tcp_ack_probe). After a window that opens piecemeal the old start remains.
// - `retrans_stamp` starts with the first retransmit, and is cleared only once all that was in flight then is
//   acknowledged (retransmits_timed_out, tcp_rtx_probe0_timed_out).
// So the option is always set to what such a clock can show at most, plus a lead.

import { LONGEST_RETRANSMIT_MAX } from '../native/kernel-defaults.js'
import type { Table } from '../tcp/record.js'
import { CLOCK_TOLERANCE, longestPause } from './path.js'
import type { MonitorPlan } from './plan.js'
import { column, isRetracted, isWindowShut } from './reading.js'

/** When the clocks were last known to stand: the earliest time at which they can have started. */
export interface KernelClocks {
  /** The last time at which the window had never held anything up. */
  readonly windowClearAt: number
  /** The last time at which nothing had ever been retransmitted. */
  readonly lossClearAt: number
}

/** The largest value that the kernel takes: 24 days. */
const LONGEST_USER_TIMEOUT = 2 ** 31 - 1

/**
 * TCP_USER_TIMEOUT, ms.
 *
 * @param inForce - what is set now: kept while its lead is long enough, so that it is not set anew at each look; NaN before
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
    // Where data is in flight the retransmit timer is the one that runs, with the other clock.
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
 * TCP_RTO_MAX_MS, ms: twice what the path needs at least. With less every timeout is spurious there.
 *
 * @param inForce - what is set now: kept unless it is too small, or much more than what is wanted
 */
export function retransmitMaxFor(
  table: Table,
  current: number,
  plan: MonitorPlan,
  inForce: number,
): number {
  if (plan.retransmitMax === false) return inForce
  // Without TCP_USER_TIMEOUT the kernel ends a connection after tcp_retries2 timeouts, and answers on a path that loses much
  // do not set them back. Probes of a shut window count from the last answer.
  if (plan.userTimeout === false && !isWindowShut(table, current)) return LONGEST_RETRANSMIT_MAX
  const pause = longestPause(table, current, plan.retransmitMax)
  const wanted = bounded(pause, LONGEST_RETRANSMIT_MAX)
  if (isRetracted(table, current)) return Math.max(wanted, retractedPause(table, current, plan))
  return inForce >= wanted && inForce <= 1.25 * wanted ? inForce : wanted
}

/**
 * Where the window was shut over data in flight, the kernel ends the connection at the first timeout at which its last ACK
 * is older than twice the option (tcp_rtx_probe0_timed_out). The pauses are short while the peer answers; when it has not,
 * the limit is raised to the whole silence, before the next timeout is due. Questions leave then at 23, 46 and 92 % of
 * the silence, so that an outage that is tolerated ends before the last of them.
 */
function retractedPause(table: Table, current: number, { silence }: MonitorPlan): number {
  if (table.get(current, column.asked) > 0) return Math.ceil(silence / 2 + CLOCK_TOLERANCE)
  // A timer that is running already may be longer, and is held against the option that is in force when it fires.
  const running = table.get(current, column.rto) / 2 + CLOCK_TOLERANCE
  return Math.ceil(Math.max(0.23 * silence, running))
}
