// What the kernel's numbers mean. Pure: no clock, no socket. docs/liveness.md has the theory.
import { TCP_CLOSE, TCP_CLOSE_WAIT } from '../tcp/info.js'
import { isWindowShut, type Observation } from './observation.js'
import { answerWithin } from './path.js'
import type { MonitorPlan } from './plan.js'

/**
 * - `alive`: nothing wrong is known.
 * - `congested`: the path loses segments, and the peer still answers.
 * - `slow`: the peer answers, but its window holds bytes back.
 * - `half-closed`: the peer has sent FIN (a shutdown and a full close look alike until a write draws an RST).
 * - `dead`: the kernel has given up, or the peer has left everything unanswered for the plan's `silence`.
 */
export type Verdict = 'alive' | 'congested' | 'slow' | 'half-closed' | 'dead'

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
 */
export function judge(
  previous: Observation | undefined,
  current: Observation,
  plan: MonitorPlan,
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
export function deadAt(current: Observation, plan: MonitorPlan): number {
  if (current.provedAt === undefined) return Number.POSITIVE_INFINITY
  const answerTime = answerWithin(current)
  // Where the kernel does not tell the path's round trip, it is a short one.
  if (Number.isNaN(answerTime)) {
    return Math.max(current.answeredAt + plan.silence, current.provedAt)
  }
  // The peer fell silent when its last answer left it, not when that came.
  const way = Math.min(current.rtt / 2, plan.silence / 4)
  return Math.max(current.answeredAt + plan.silence - way, current.provedAt + answerTime)
}

/** Whether the peer was asked more than once and has not answered yet. */
export function isUnanswered({ asked }: Observation): boolean {
  return asked >= 2
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
