// One number in, every other number out. docs/liveness.md derives them.
import { TcpSseError } from '../internal/errors.js'
import { type Checks, checkOptions, duration, orFalse, wrongType } from '../internal/validate.js'
import { kernelKnows } from '../native/binding.js'
import { LONGEST_RETRANSMIT_MAX } from '../native/kernel-defaults.js'
import type { KeepAliveOptions } from '../tcp/options.js'
import { checkKeepAlive, checkRetransmitMax, checkUserTimeout } from '../tcp/options.js'
import { ANSWER_PACE, LEAST_QUESTIONS, MOST_IN_DOUBT, SHORT_PATH } from './path.js'

/** What of a plan can be set by hand. */
export interface LivenessOverrides {
  /** Milliseconds between heartbeat comments on a quiet stream; `false` sends none. */
  heartbeat?: number | false | undefined
}

/** Entries that the library itself sets otherwise, where the plan's would do harm. */
export interface PlanOverrides extends LivenessOverrides {
  /**
   * TCP_USER_TIMEOUT, ms: how long the kernel waits while the event loop is blocked. `false` leaves the option alone, and
   * TCP_RTO_MAX_MS with it: see `retransmitMax`.
   */
  userTimeout?: number | false | undefined
  /** Keepalive, ms; `false` leaves idle peers to the heartbeat. */
  keepAlive?: KeepAliveOptions | false | undefined
  /**
   * TCP_RTO_MAX_MS, ms; `false` leaves the kernel's 120 s. It needs a `userTimeout`: without one the kernel ends a
   * connection after `tcp_retries2` timeouts, which take only seconds when they are this close together.
   */
  retransmitMax?: number | false | undefined
}

/**
 * The numbers that follow from `detectWithin` and that can be relied on; all in milliseconds. Plain data: print it.
 *
 * The promise: a peer that has fallen silent is closed within `detectWithin` + 1 s, and one that still answers
 * is never closed for this. On a path whose round trips or losses ask for more time than that, the peer gets it.
 */
export interface LivenessPlan {
  /** D, ms. */
  readonly detectWithin: number
  /** Keepalive as the kernel is told. It makes an idle peer answer. */
  readonly keepAlive: Readonly<KeepAliveOptions> | false
  /** Between heartbeat comments on a quiet stream. */
  readonly heartbeat: number | false
  /**
   * TCP_USER_TIMEOUT is kept this far ahead of every clock of the kernel that an answer does not reset. The kernel ends a
   * connection by itself only when the event loop has been blocked for longer.
   */
  readonly userTimeout: number | false
  /**
   * TCP_RTO_MAX_MS: retransmits and window probes are at most this far apart. On a slow path it is raised to twice what the
   * path needs. `false` where it is switched off or the kernel does not have it (Linux < 6.15).
   */
  readonly retransmitMax: number | false
  /**
   * Without `retransmitMax`: how far TCP_USER_TIMEOUT is kept ahead while the peer's window is shut, which makes the kernel
   * probe at least this often. The price: an event loop that is blocked for longer than this may end a living client
   * whose window is shut. `false` with `retransmitMax`, which has no such price.
   */
  readonly shutWindowLead: number | false
  /** How old the last answer of a peer must be, while it leaves everything unanswered, until it is dead. */
  readonly silence: number
  /**
   * An outage of the path up to this long closes nobody; on a slow path, less its round trip. It is less than half of the
   * `silence` without `retransmitMax`: the kernel's retransmits are then twice as far apart each time.
   */
  readonly toleratedOutage: number
}

/** The same with the monitor's own numbers, which may change with any version. */
export interface MonitorPlan extends LivenessPlan {
  /** Between two looks at a socket on which all is well. */
  readonly pace: number
  /** Between two checks of a quiet socket for a write. */
  readonly checkPace: number
  /** How old the last answer may be at the last look at a quiet socket before the `silence` is over. */
  readonly quietPace: number
  /** Between two looks at a socket on which bytes wait or something is unanswered. */
  readonly urgentPace: number
  /**
   * Between two keepalive probes that the monitor asks for when one has gone unanswered. Half of what a Linux peer answers
   * where D is small: the second of two probes counts only when the first did not arrive.
   */
  readonly probePace: number
  /**
   * How many questions an idle peer is sure to be asked within the `silence`, at most 16. While nothing is known of a path that
   * has lost nothing yet, so many must go unanswered.
   */
  readonly idleQuestions: number
}

/** 30 s: soon enough for a server's memory, late enough for a lift ride. */
const DEFAULT_DETECT_WITHIN = 30_000

/** Below this the kernel's whole seconds leave no room for three unanswered probes inside D. */
const LEAST = 4_000
const MOST = 3_600_000

/** What the promise grants beyond D, and what of it is kept for a busy event loop and the reset itself. */
const GRACE = 1_000
const RESERVE = 500

/** Without TCP_USER_TIMEOUT keepalive's count rules, and frequent probes would use it up, ms. */
const SPARING_PROBE_PACE = 600

/** The least lead of TCP_USER_TIMEOUT: a debugger or a suspended machine may block the event loop for as long. */
const LEAST_USER_TIMEOUT = 60_000

const publicChecks: Checks<LivenessOverrides> = { heartbeat: orFalse(duration({ min: 100 })) }

const overrideChecks: Checks<PlanOverrides> = {
  ...publicChecks,
  userTimeout: checkUserTimeout,
  keepAlive: orFalse(checkKeepAlive),
  retransmitMax: orFalse(checkRetransmitMax),
}

/**
 * Derives every kernel option and the heartbeat from D, as streams and guards do. Pure, but for the question whether this
 * kernel has TCP_RTO_MAX_MS.
 *
 * @param detectWithin - D, ms, 4 000 to 3 600 000
 * @throws {TcpSseError} `ERR_OPTION_TYPE`, `ERR_OPTION_VALUE`, `ERR_OPTION_UNKNOWN`; `ERR_DETECT_WITHIN_TOO_SMALL`
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

/** The plan by which the monitor works. */
export function monitorPlan(
  detectWithin: number = DEFAULT_DETECT_WITHIN,
  overrides: PlanOverrides = {},
): MonitorPlan {
  return planFor(detectWithin, overrides, kernelKnows('TCP_RTO_MAX_MS'))
}

/** The same for a kernel with or without TCP_RTO_MAX_MS. Pure. */
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
  // Seen at a look, asked three times, and given the time to answer before the silence is over.
  const quietPace = silence - SHORT_PATH - 2 * urgentPace
  const keepAlive = keepAlivePlan(detectWithin, given)
  const interval = keepAlive === false ? 1_000 : keepAlive.interval
  const heartbeat = given.heartbeat ?? Math.min(15_000, Math.floor(detectWithin / 2))
  const asking = keepAlive === false ? heartbeat : keepAlive.idle
  if (asking === false) {
    throw refused(
      'keepAlive',
      'keepAlive and heartbeat cannot both be off: nothing would probe an idle peer.',
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
    // Three unanswered probes fit: 3 x (lead + checkPace) + an answer + two looks <= D + 1 s.
    shutWindowLead: walks && Math.round(detectWithin / 5),
    silence,
    pace,
    // Where TCP_USER_TIMEOUT walks, it has to be known to a pace since when a window is shut.
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
      `detectWithin = ${value} ms cannot be promised: keepalive counts whole seconds and three probes ` +
        `must go unanswered, which takes at least ${LEAST} ms.`,
      { option: 'detectWithin' },
    )
  }
}

/** Questions of an idle peer, the first at the beginning of a time. */
function questionsWithin(time: number, pace: number): number {
  return clamp(1 + Math.floor(time / pace), LEAST_QUESTIONS, MOST_IN_DOUBT)
}

/** Whole seconds, as the kernel counts: what is given is rounded up, as `applySocketOptions` does. */
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
  // It rules only while TCP_USER_TIMEOUT is off, and the monitor asks more often: `probePace`.
  const count = clamp(Math.ceil((2 * (detectWithin - idle)) / interval) + 2, 10, 127)
  return Object.freeze({ idle, interval, count })
}

/** An idle peer must be asked three times before the silence is over. */
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
    `Three unanswered probes do not fit into detectWithin: with this ${option} the third leaves ` +
      `after ${third} ms, and ${Math.floor(quietPace)} ms is the latest.`,
  )
}

function retransmitMaxPlan(given: PlanOverrides, interval: number): number | false {
  if (given.userTimeout !== false)
    return given.retransmitMax ?? clamp(interval, 1_000, LONGEST_RETRANSMIT_MAX)
  if (given.retransmitMax) {
    throw refused(
      'retransmitMax',
      'retransmitMax needs a userTimeout: without one the kernel ends a living connection after tcp_retries2 timeouts.',
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

/** At least one second, and rounded down: asking earlier never breaks the promise. */
function downToSeconds(milliseconds: number): number {
  return Math.max(1, Math.floor(milliseconds / 1000)) * 1000
}

function upToSeconds(milliseconds: number): number {
  return Math.ceil(milliseconds / 1000) * 1000
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value))
}
