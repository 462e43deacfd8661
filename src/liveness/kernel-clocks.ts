// TCP_USER_TIMEOUT and TCP_RTO_MAX_MS of a connection, as they should be now. Pure.
//
// The kernel has clocks that an answer does not set back, and ends a connection when one of them has run for TCP_USER_TIMEOUT:
// - `icsk_probes_tstamp` starts with the first probe of a shut window, and starts anew only when an ACK opens the window
//   for the whole first unsent segment (tcp_ack_probe). After a window that opens piecemeal the old start remains.
// - `retrans_stamp` starts with the first retransmit, and is cleared only once all that was in flight then is
//   acknowledged (retransmits_timed_out, tcp_rtx_probe0_timed_out).
// So the option is always set to what such a clock can show at most, plus a lead.

import { isRetracted, isWindowShut, type Observation } from './observation.js'
import { CLOCK_TOLERANCE, longestPause } from './path.js'
import type { MonitorPlan } from './plan.js'

/** When the clocks were last known to stand: the earliest time at which they can have started. */
export interface KernelClocks {
  /** The last time at which the window had never held anything up. */
  readonly windowClearAt: number
  /** The last time at which nothing had ever been retransmitted. */
  readonly lossClearAt: number
}

/** The largest value that the kernel takes: 24 days. */
const LONGEST_USER_TIMEOUT = 2 ** 31 - 1

/** The largest TCP_RTO_MAX_MS, and the kernel's default. */
export const LONGEST_RETRANSMIT_MAX = 120_000

/**
 * TCP_USER_TIMEOUT, ms.
 *
 * @param inForce - what is set now: kept while its lead is long enough, so that it is not set anew at each look
 */
export function userTimeoutFor(
  current: Observation,
  clocks: KernelClocks,
  plan: MonitorPlan,
  now: number,
  inForce: number | undefined,
): number {
  if (plan.userTimeout === false) return inForce ?? 0
  const windowAge = current.windowLimited === 0 ? 0 : now - clocks.windowClearAt
  if (plan.shutWindowLead !== false && isWindowShut(current)) {
    // Where data is in flight the retransmit timer is the one that runs, with the other clock.
    const age = current.unacked > 0 ? lossAge(current, clocks, now) : windowAge
    return bounded(age + plan.shutWindowLead)
  }
  const age = Math.max(windowAge, lossAge(current, clocks, now))
  if (age === 0) return bounded(plan.userTimeout)
  const lead = (inForce ?? 0) - age
  const longEnough = lead >= plan.userTimeout && lead <= 2 * plan.userTimeout
  return longEnough ? (inForce as number) : bounded(age + 1.5 * plan.userTimeout)
}

function lossAge({ totalRetransmits }: Observation, clocks: KernelClocks, now: number): number {
  return totalRetransmits === 0 ? 0 : now - clocks.lossClearAt
}

function bounded(milliseconds: number, most = LONGEST_USER_TIMEOUT): number {
  return Math.ceil(Math.min(milliseconds, most))
}

/**
 * TCP_RTO_MAX_MS, ms: twice what the path needs at least. With less every timeout is spurious there.
 *
 * @param inForce - what is set now: kept unless it is too small, or much more than what is wanted
 */
export function retransmitMaxFor(current: Observation, plan: MonitorPlan, inForce: number): number {
  if (plan.retransmitMax === false) return inForce
  // Without TCP_USER_TIMEOUT the kernel ends a connection after tcp_retries2 timeouts, and answers on a path that loses much
  // do not set them back. Probes of a shut window count from the last answer.
  if (plan.userTimeout === false && !isWindowShut(current)) return LONGEST_RETRANSMIT_MAX
  const wanted = bounded(longestPause(current, plan.retransmitMax), LONGEST_RETRANSMIT_MAX)
  if (isRetracted(current)) return Math.max(wanted, retractedPause(current, plan))
  return inForce >= wanted && inForce <= 1.25 * wanted ? inForce : wanted
}

/**
 * Where the window was shut over data in flight, the kernel ends the connection at the first timeout at which its last ACK
 * is older than twice the option (tcp_rtx_probe0_timed_out). The pauses are short while the peer answers; when it has not,
 * the limit is raised to the whole silence, before the next timeout is due. Questions leave then at 23, 46 and 92 % of
 * the silence, so that an outage that is tolerated ends before the last of them.
 */
function retractedPause({ asked, rto }: Observation, { silence }: MonitorPlan): number {
  if (asked > 0) return Math.ceil(silence / 2 + CLOCK_TOLERANCE)
  // A timer that is running already may be longer, and is held against the option that is in force when it fires.
  return Math.ceil(Math.max(0.23 * silence, rto / 2 + CLOCK_TOLERANCE))
}
