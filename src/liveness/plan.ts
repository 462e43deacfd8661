// Derives all other numbers from `detectWithin`. docs/liveness.md explains how.
import { TcpSseError } from '../internal/errors.js'
import {
  type Check,
  type Checks,
  checkOptions,
  duration,
  orFalse,
  wrongType,
} from '../internal/validate.js'
import { kernelKnows } from '../native/binding.js'
import { LONGEST_RETRANSMIT_MAX } from '../native/kernel-defaults.js'
import type { KeepAliveOptions } from '../tcp/options.js'
import { checkKeepAlive, checkRetransmitMax, checkUserTimeout } from '../tcp/options.js'
import { ANSWER_PACE, LEAST_QUESTIONS, MOST_IN_DOUBT, MOST_QUESTIONS, SHORT_PATH } from './path.js'

/** The part of a plan that applications can set. */
export interface LivenessOverrides {
  /**
   * Milliseconds between heartbeat comments on a quiet stream, 100 or more; `false` sends none.
   * @defaultValue half of `detectWithin`, at most 15 000
   */
  heartbeat?: number | false | undefined
}

/** Further settings that the library itself changes where the plan's value would do harm. */
export interface PlanOverrides extends LivenessOverrides {
  /**
   * TCP_USER_TIMEOUT, ms: how long the kernel waits while the event loop is blocked. `false` does not set the option,
   * and not TCP_RTO_MAX_MS either: see `retransmitMax`.
   */
  userTimeout?: number | false | undefined
  /** Keepalive, ms; `false` leaves the probing of idle peers to the heartbeat. */
  keepAlive?: KeepAliveOptions | false | undefined
  /**
   * TCP_RTO_MAX_MS, ms; `false` keeps the kernel's 120 s. It requires a `userTimeout`. Without one, the kernel ends a
   * connection after `tcp_retries2` timeouts, which take only seconds if they are this close together.
   */
  retransmitMax?: number | false | undefined
}

/**
 * The guaranteed numbers that follow from `detectWithin`, all in milliseconds. A plan is a plain object that can be
 * printed.
 *
 * The promise: a peer that has fallen silent is closed within `detectWithin` + 1 s, and a peer that still answers is
 * never closed for silence. If the round trips or losses of a path require more time than that, the peer gets it.
 */
export interface LivenessPlan {
  /** The argument. A dead peer is detected within this time + 1 s. */
  readonly detectWithin: number
  /**
   * The keepalive settings of the kernel, which make an idle peer answer. `livenessPlan` never returns `false` here.
   */
  readonly keepAlive: Readonly<KeepAliveOptions> | false
  /** Time between heartbeat comments on a quiet stream; `false`: none are sent. */
  readonly heartbeat: number | false
  /**
   * A margin, not the value of TCP_USER_TIMEOUT itself. Some timers of the kernel continue although the peer answers. The
   * monitor keeps TCP_USER_TIMEOUT this much above what they have counted, so that the kernel ends a connection by itself
   * only if the event loop has been blocked for longer. `livenessPlan` never returns `false` here.
   */
  readonly userTimeout: number | false
  /**
   * TCP_RTO_MAX_MS: the longest pause between retransmits or window probes. On a slow path it is raised to twice what
   * the path needs. `false` if the kernel does not have it (Linux < 6.15), or without the addon.
   */
  readonly retransmitMax: number | false
  /**
   * Without `retransmitMax`: the margin in place of `userTimeout` while the peer's window is closed. The time between two
   * probes of the kernel is then at most this long. The cost: if the event loop is blocked for longer, the kernel may end
   * a living client whose window is closed. `false` with `retransmitMax`, which has no such cost.
   */
  readonly shutWindowLead: number | false
  /** How old the last answer of a peer must be, while it leaves everything unanswered, before it counts as dead. */
  readonly silence: number
  /**
   * An outage of the path up to this long closes no client. On a slow path, the tolerated outage is shorter by one round
   * trip. Without `retransmitMax` it is less than half of the `silence`, because the kernel doubles the time between
   * retransmits (RFC 6298, 5.5).
   */
  readonly toleratedOutage: number
}

/** A plan with the monitor's own numbers, which may change in any version. */
export interface MonitorPlan extends LivenessPlan {
  /** Time between two samples of a healthy socket. */
  readonly pace: number
  /** Time between two checks of a quiet socket for a write. */
  readonly checkPace: number
  /** How old the last answer of a quiet socket may be at the last sample before the `silence` ends. */
  readonly quietPace: number
  /** Time between two samples of a socket on which bytes wait or something is unanswered. */
  readonly urgentPace: number
  /**
   * Time between two keepalive probes that the monitor requests after one has gone unanswered. With a small D it is
   * half of the time in which a Linux peer answers: the second of two probes counts only if the first did not arrive.
   */
  readonly probePace: number
  /**
   * The number of questions that an idle peer certainly gets within the `silence`, at most 16. While nothing is known
   * about a path that has lost nothing yet, this many must go unanswered.
   */
  readonly idleQuestions: number
}

/** 30 s: short enough to limit a server's memory, long enough for a short outage. */
const DEFAULT_DETECT_WITHIN = 30_000

/** Below this, three unanswered probes do not fit into D, because the kernel counts in whole seconds. */
const LEAST = 4_000
const MOST = 3_600_000

/**
 * The time that the promise adds to D, and the part of it that is reserved for a busy event loop and the reset itself.
 */
const GRACE = 1_000
const RESERVE = 500

/** Without TCP_USER_TIMEOUT, keepalive's count applies, and frequent probes would exhaust it, ms. */
const SPARING_PROBE_PACE = 600

/** The smallest lead of TCP_USER_TIMEOUT. A debugger may block the event loop for this long. */
const LEAST_USER_TIMEOUT = 60_000

/** The check of the option `heartbeat`, here and of streams. */
export const checkHeartbeat: Check<number | false> = orFalse(duration({ min: 100 }))

const publicChecks: Checks<LivenessOverrides> = { heartbeat: checkHeartbeat }

const overrideChecks: Checks<PlanOverrides> = {
  ...publicChecks,
  userTimeout: checkUserTimeout,
  keepAlive: orFalse(checkKeepAlive),
  retransmitMax: orFalse(checkRetransmitMax),
}

/**
 * Derives the kernel options and the heartbeat from `detectWithin`, as streams and guards do. The result depends only
 * on the arguments and on whether this kernel has TCP_RTO_MAX_MS.
 *
 * @param detectWithin - milliseconds, 4 000 to 3 600 000; default 30 000
 * @throws {TcpSseError} `ERR_OPTION_TYPE`, `ERR_OPTION_VALUE`, `ERR_OPTION_UNKNOWN`, `ERR_DETECT_WITHIN_TOO_SMALL`
 * @example
 * console.log(livenessPlan(10_000))
 */
export function livenessPlan(
  detectWithin: number = DEFAULT_DETECT_WITHIN,
  overrides: LivenessOverrides = {},
): LivenessPlan {
  const given = checkOptions(overrides, publicChecks, 'LivenessOverrides')
  const { pace, checkPace, quietPace, urgentPace, probePace, idleQuestions, ...plan } = monitorPlan(
    detectWithin,
    given,
  )
  return Object.freeze(plan)
}

/** Returns the complete plan of the monitor. */
export function monitorPlan(
  detectWithin: number = DEFAULT_DETECT_WITHIN,
  overrides: PlanOverrides = {},
): MonitorPlan {
  return planFor(detectWithin, overrides, kernelKnows('TCP_RTO_MAX_MS'))
}

/** Returns the complete plan for a kernel with or without TCP_RTO_MAX_MS. Pure. */
export function planFor(
  detectWithin: number,
  overrides: PlanOverrides,
  hasRetransmitMax: boolean,
): MonitorPlan {
  checkDetectWithin(detectWithin)
  const given = checkOptions(overrides, overrideChecks, 'PlanOverrides')
  const pace = clamp(Math.round(detectWithin / 12), 250, 2_500)
  const urgentPace = clamp(Math.round(detectWithin / 24), 150, 500)
  const silence = detectWithin + GRACE - RESERVE - urgentPace
  // Reserves the time of a sample, of three questions and of an answer before the silence ends.
  const quietPace = silence - SHORT_PATH - 2 * urgentPace
  const keepAlive = keepAlivePlan(detectWithin, given)
  const interval = keepAlive === false ? 1_000 : keepAlive.interval
  const heartbeat = given.heartbeat ?? Math.min(15_000, Math.floor(detectWithin / 2))
  const asking = keepAlive === false ? heartbeat : keepAlive.idle
  if (asking === false) {
    throw refused(
      'keepAlive',
      'keepAlive and heartbeat cannot both be off: an idle peer would never be probed. Set one of them.',
    )
  }
  checkQuestions(asking, interval, quietPace, keepAlive !== false)
  const retransmitMax = hasRetransmitMax && retransmitMaxPlan(given, interval)
  const leastRetransmitMax = retransmitMax === false ? 0 : retransmitMax
  const walks = retransmitMax === false && given.userTimeout !== false
  const probing = silence - asking
  const sparingPace = Math.max(SPARING_PROBE_PACE, interval / 2)
  const probePace =
    given.userTimeout === false
      ? Math.ceil(sparingPace / urgentPace) * urgentPace
      : ANSWER_PACE / (urgentPace < ANSWER_PACE ? 2 : 1)
  return Object.freeze({
    detectWithin,
    keepAlive,
    heartbeat,
    userTimeout: userTimeoutPlan(given, detectWithin),
    retransmitMax,
    // Three unanswered probes fit: 3 x (lead + checkPace) + an answer + two samples <= D + 1 s.
    shutWindowLead: walks && Math.round(detectWithin / 5),
    silence,
    pace,
    // If TCP_USER_TIMEOUT is moved ahead, the time since which a window is closed must be known to within one pace.
    checkPace: keepAlive === false || walks ? pace : clamp(keepAlive.idle, pace, 10_000),
    quietPace,
    urgentPace,
    probePace,
    idleQuestions:
      keepAlive === false
        ? LEAST_QUESTIONS
        : questionsWithin(quietPace - asking, Math.max(ANSWER_PACE, probePace)),
    toleratedOutage: Math.max(
      0,
      (retransmitMax === false
        ? Math.min(probing - interval, probing / 2)
        : probing - Math.max(interval, leastRetransmitMax)) - RESERVE,
    ),
  })
}

function checkDetectWithin(value: unknown): void {
  if (typeof value !== 'number') throw wrongType('detectWithin', 'a number of milliseconds', value)
  if (!(value > 0 && value <= MOST)) {
    throw new TcpSseError(
      'ERR_OPTION_VALUE',
      `detectWithin must be ${LEAST} to ${MOST} milliseconds, not ${value}`,
      { option: 'detectWithin' },
    )
  }
  if (value < LEAST) {
    throw new TcpSseError(
      'ERR_DETECT_WITHIN_TOO_SMALL',
      `detectWithin = ${value} ms is too small: keepalive counts in whole seconds, and three probes ` +
        `must go unanswered. Set it to ${LEAST} ms or more.`,
      { option: 'detectWithin' },
    )
  }
}

/** The number of questions that an idle peer gets in a time, the first at its beginning. */
function questionsWithin(time: number, pace: number): number {
  return clamp(1 + Math.floor(time / pace), LEAST_QUESTIONS, MOST_IN_DOUBT)
}

/**
 * Returns keepalive in whole seconds, as the kernel counts. Given values are rounded up, as in `applySocketOptions`.
 */
function keepAlivePlan(
  detectWithin: number,
  given: PlanOverrides,
): Readonly<KeepAliveOptions> | false {
  if (given.keepAlive === false) return false
  if (given.keepAlive !== undefined) {
    const { idle, interval, count } = given.keepAlive
    return Object.freeze({ idle: upToSeconds(idle), interval: upToSeconds(interval), count })
  }
  const idle = downToSeconds(detectWithin / 5)
  const interval = downToSeconds(detectWithin / 10)
  // The count applies only while TCP_USER_TIMEOUT is off, and the monitor probes more often: `probePace`. Where it is
  // never on, the kernel must not end a peer that a lossy path requires to be asked more often.
  const least = given.userTimeout === false ? 2 * MOST_QUESTIONS : 10
  const count = clamp(Math.ceil((2 * (detectWithin - idle)) / interval) + 2, least, 127)
  return Object.freeze({ idle, interval, count })
}

/** Checks that an idle peer can be asked three times before the silence ends. */
function checkQuestions(
  asking: number,
  interval: number,
  quietPace: number,
  byKeepAlive: boolean,
): void {
  const third = asking + 2 * interval
  if (third <= quietPace) return
  const option = byKeepAlive ? 'keepAlive' : 'heartbeat'
  throw refused(
    option,
    `${option} is too slow for detectWithin, which needs three unanswered probes: the third is sent ` +
      `after ${third} ms, but must be sent within ${Math.floor(quietPace)} ms.`,
  )
}

function retransmitMaxPlan(given: PlanOverrides, interval: number): number | false {
  if (given.userTimeout !== false)
    return given.retransmitMax ?? clamp(interval, 1_000, LONGEST_RETRANSMIT_MAX)
  if (given.retransmitMax) {
    throw refused(
      'retransmitMax',
      'retransmitMax requires a userTimeout: without one, the kernel ends a living connection after tcp_retries2 timeouts.',
    )
  }
  return false
}

function userTimeoutPlan(given: PlanOverrides, detectWithin: number): number | false {
  const least = detectWithin + GRACE
  if (given.userTimeout === undefined) return Math.max(2 * detectWithin, LEAST_USER_TIMEOUT)
  if (given.userTimeout !== false && given.userTimeout < least) {
    throw refused(
      'userTimeout',
      `userTimeout must be at least detectWithin + ${GRACE} ms (${least} ms), not ${given.userTimeout}: ` +
        'with less, the kernel ends a living peer in an outage that detectWithin tolerates.',
    )
  }
  return given.userTimeout
}

function refused(option: string, message: string): TcpSseError {
  return new TcpSseError('ERR_OPTION_VALUE', message, { option })
}

/** At least one second, rounded down: earlier probes never break the promise. */
function downToSeconds(milliseconds: number): number {
  return Math.max(1, Math.floor(milliseconds / 1000)) * 1000
}

function upToSeconds(milliseconds: number): number {
  return Math.ceil(milliseconds / 1000) * 1000
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value))
}
