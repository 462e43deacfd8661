// What the kernel's numbers mean. Pure: no clock, no socket, no memory but the previous observation.
import { column, type Rows, TCP_CLOSE, TCP_CLOSE_WAIT } from '../socket/inspect.js'
import type { LivenessPlan } from './plan.js'

/**
 * - `alive`: nothing wrong is known.
 * - `congested`: the path loses segments, and the peer still answers.
 * - `slow`: the peer answers, but its window holds bytes back.
 * - `half-closed`: the peer has sent FIN (a shutdown and a full close look alike until a write draws an RST).
 * - `dead`: the kernel has given up, or the peer has left everything unanswered for the plan's `silence`.
 */
export type Verdict = 'alive' | 'congested' | 'slow' | 'half-closed' | 'dead'

/** What of a look at a socket bears on its verdict. Times in ms; NaN where the kernel does not tell. */
export interface Observation {
  /** When it was made, on the monitor's clock. */
  readonly at: number
  /** TCP state, the kernel's number. */
  readonly state: number
  /** Segments in flight. */
  readonly unacked: number
  /** Bytes that wait in the kernel to be sent. */
  readonly unsent: number
  /** Timeouts in a row without an ACK. */
  readonly retransmits: number
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
  /** Bytes acknowledged over the connection's life. */
  readonly bytesAcked: number
  /** Time that sending was held up by the peer's window, over the connection's life. */
  readonly windowLimited: number
  /** Since when something has been outstanding with no ACK after it; `undefined` while nothing is. */
  readonly silentSince: number | undefined
}

/** The numbers of a look, before they are put beside the previous one. */
export type Look = Omit<Observation, 'at' | 'silentSince'>

/**
 * An observation that is overwritten by the next one: thousands of sockets are looked at all day, and what outlives a
 * look costs the garbage collector more than the look costs the kernel.
 */
export class Sight implements Observation {
  at = 0
  state = 0
  unacked = 0
  unsent = 0
  retransmits = 0
  probes = 0
  lastAckReceived = 0
  lastDataReceived = 0
  lost = 0
  totalRetransmits = 0
  bytesAcked = 0
  windowLimited = 0
  silentSince: number | undefined = undefined

  /** Reads one row of a sweep. */
  read({ numbers, width }: Rows, index: number): this {
    const row = index * width
    this.state = numbers[row + column.state] as number
    this.unacked = numbers[row + column.unacked] as number
    this.unsent = numbers[row + column.unsent] as number
    this.retransmits = numbers[row + column.retransmits] as number
    this.probes = numbers[row + column.probes] as number
    this.lastAckReceived = numbers[row + column.lastAckReceived] as number
    this.lastDataReceived = numbers[row + column.lastDataReceived] as number
    this.lost = numbers[row + column.lost] as number
    this.totalRetransmits = numbers[row + column.totalRetransmits] as number
    this.bytesAcked = numbers[row + column.bytesAcked] as number
    this.windowLimited = (numbers[row + column.windowLimited] as number) / 1000
    return this
  }

  /** Takes over what a look has shown. */
  copy(look: Look): this {
    this.state = look.state
    this.unacked = look.unacked
    this.unsent = look.unsent
    this.retransmits = look.retransmits
    this.probes = look.probes
    this.lastAckReceived = look.lastAckReceived
    this.lastDataReceived = look.lastDataReceived
    this.lost = look.lost
    this.totalRetransmits = look.totalRetransmits
    this.bytesAcked = look.bytesAcked
    this.windowLimited = look.windowLimited
    return this
  }
}

/** A copy that stays as it is: observations are overwritten by the next look. */
export function copyOf(observation: Observation, copy: Sight = new Sight()): Sight {
  copy.copy(observation)
  copy.at = observation.at
  copy.silentSince = observation.silentSince
  return copy
}

/** The kernel's clocks are coarse (4 ms at HZ = 250) and not ours. */
const CLOCK_TOLERANCE = 10

/**
 * Puts a look beside the previous observation: since when has the peer left something unanswered?
 *
 * @param into - becomes the new observation; not `previous`
 */
export function observe(
  previous: Observation | undefined,
  look: Look,
  plan: LivenessPlan,
  now: number,
  into: Sight = new Sight(),
): Sight {
  into.copy(look)
  into.at = now
  into.silentSince = silentSince(previous, look, plan, now)
  return into
}

function silentSince(
  previous: Observation | undefined,
  look: Look,
  plan: LivenessPlan,
  now: number,
): number | undefined {
  const outstanding = look.unacked > 0 || look.probes > 0
  if (!outstanding) return undefined
  const before = previous?.silentSince
  if (before !== undefined && now - look.lastAckReceived <= before + CLOCK_TOLERANCE) return before
  if (look.unacked === 0 && look.unsent === 0 && plan.keepAlive !== false) {
    // Nothing but keepalive can be outstanding, and its first probe leaves at a known time after the last sign
    // of life (tcp_keepalive_timer: the younger of the last data and the last ACK).
    const quiet = Math.min(look.lastAckReceived, look.lastDataReceived)
    return now - Math.max(0, quiet - plan.keepAlive.idle)
  }
  // Sent at some time since the previous look. Taking this look's time never blames a peer too early.
  return now
}

/** How long the peer has left something unanswered, by an observation. */
export function silentFor(observation: Observation, now: number = observation.at): number {
  if (observation.silentSince === undefined) return 0
  const age = now - observation.at
  return Math.min(now - observation.silentSince, observation.lastAckReceived + age)
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
  if (isSilent(current, plan, now)) return 'dead'
  if (current.state === TCP_CLOSE_WAIT) return 'half-closed'
  if (isWindowShut(current) || isHeldByWindow(previous, current)) return 'slow'
  if (isLosing(previous, current)) return 'congested'
  return 'alive'
}

/**
 * Unanswered for the whole of the plan's silence, and asked more than once: one lost segment, or one probe
 * that a living kernel did not answer (it answers such ones once in 500 ms), is no evidence.
 */
function isSilent(current: Observation, plan: LivenessPlan, now: number): boolean {
  return isUnanswered(current) && silentFor(current, now) >= plan.silence
}

/** Whether the peer was asked more than once and has not answered yet. */
export function isUnanswered({ unacked, retransmits, probes }: Observation): boolean {
  return (unacked > 0 ? retransmits : probes) >= 2
}

/** Bytes wait, none is in flight: only the peer's window can be the reason. */
export function isWindowShut(current: Observation): boolean {
  return current.unsent > 0 && current.unacked === 0
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

/**
 * What TCP_USER_TIMEOUT should be on a connection now; 0 is off.
 *
 * The kernel counts the time behind a shut window from the moment it first had to probe, and takes a new start
 * only when an ACK opens the window for the whole first unsent segment (tcp_ack_probe, Linux 6.12 and 6.18).
 * So (1) it kills living slow readers, and (2) after the window has opened piecemeal the old start remains: armed
 * again with the plan's value, the next shut window killed a living reader after 0.29 s (measured, 6.18).
 * Therefore it is off while the window is shut, and armed again with the time since the window first can have
 * been shut on top of the plan's value. The monitor, which is not fooled, keeps the bound meanwhile.
 *
 * @param limitedSince - the last time at which the window had never yet held anything up, or `undefined` if that
 * is still so
 */
export function userTimeoutFor(
  current: Observation,
  limitedSince: number | undefined,
  plan: LivenessPlan,
  now: number,
): number {
  if (plan.userTimeout === false || isWindowShut(current)) return 0
  if (limitedSince === undefined) return Math.ceil(plan.userTimeout)
  const grown = Math.ceil(plan.userTimeout + (now - limitedSince))
  return grown < LONGEST_USER_TIMEOUT ? grown : 0
}

/** Later than this the kernel's verdict helps nobody. */
const LONGEST_USER_TIMEOUT = 3_600_000
