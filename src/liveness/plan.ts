// One number in, every other number out.
import { TcpSseError } from '../errors.js'
import type { KeepAliveOptions } from '../socket/options.js'
import { checkKeepAlive, checkRetransmitMax, checkUserTimeout } from '../socket/options.js'
import { type Checks, checkOptions, duration, orFalse, wrongType } from '../validate.js'

/** Single entries of a plan that a caller sets by hand. */
export interface LivenessOverrides {
  /** TCP_USER_TIMEOUT, ms; `false` leaves the whole judgement to the monitor. */
  userTimeout?: number | false | undefined
  /** Keepalive, ms; `false` leaves idle peers to the heartbeat. */
  keepAlive?: KeepAliveOptions | false | undefined
  /** TCP_RTO_MAX_MS, ms; `false` leaves the kernel's 120 s. */
  retransmitMax?: number | false | undefined
  /** Milliseconds between heartbeat comments on a quiet stream; `false` sends none. */
  heartbeat?: number | false | undefined
}

/**
 * Every number that follows from `detectWithin`; all in milliseconds. Plain data: print it.
 *
 * The promise: a peer that has fallen silent is closed within `detectWithin` + 1 s, and one that still answers
 * is never closed for this.
 */
export interface LivenessPlan {
  /** D, ms. */
  readonly detectWithin: number
  /** Keepalive as the kernel is told. It is what makes an idle peer answer. */
  readonly keepAlive: Readonly<KeepAliveOptions> | false
  /** Between heartbeat comments on a quiet stream. */
  readonly heartbeat: number | false
  /** TCP_USER_TIMEOUT: the kernel's own verdict, a little after the monitor's. */
  readonly userTimeout: number | false
  /** TCP_RTO_MAX_MS: retransmits and window probes are at most this far apart. */
  readonly retransmitMax: number | false
  /** How long something must go unanswered until the peer is dead. */
  readonly silence: number
  /** Between two looks at a socket on which all is well. */
  readonly pace: number
  /**
   * Between two checks of a quiet socket for a write. As long as keepalive waits before it asks, 10 s at most: what was written
   * right after a check is then seen unanswered no later than a probe would be.
   */
  readonly checkPace: number
  /**
   * Between two looks at a quiet socket: nothing was written since all was acknowledged. Only keepalive can find its peer
   * silent, and since when is told by the age of the last ACK, however late it is asked for.
   */
  readonly quietPace: number
  /** Between two looks at a socket on which bytes wait or something is unanswered. */
  readonly urgentPace: number
  /** An outage of the path up to this long closes nobody (with `retransmitMax`; without it, see docs/liveness.md). */
  readonly toleratedOutage: number
}

/** 30 s: soon enough for a server's memory, late enough for a lift ride. */
export const DEFAULT_DETECT_WITHIN = 30_000

/** Below this the kernel's whole seconds leave no room for three unanswered probes inside D. */
const LEAST = 4_000
const MOST = 3_600_000

/** What the promise grants beyond D, and what of it is kept for a busy event loop and the reset itself. */
const GRACE = 1_000
const RESERVE = 500

const overrideChecks: Checks<LivenessOverrides> = {
  userTimeout: checkUserTimeout,
  keepAlive: orFalse(checkKeepAlive),
  retransmitMax: orFalse(checkRetransmitMax),
  heartbeat: orFalse(duration({ min: 100 })),
}

/**
 * Derives every kernel option, the heartbeat and the monitor's pace from D. Pure.
 *
 * The longest a peer can stay unnoticed is the sum of four waits: until something is outstanding on an idle
 * connection (`keepAlive.idle`), until a look sees it (`pace`), the silence itself, and the last look
 * (`urgentPace`). The silence is what is left of D after the other three.
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
  checkDetectWithin(detectWithin)
  const given = checkOptions(overrides, overrideChecks, 'LivenessOverrides')
  const keepAlive = keepAlivePlan(detectWithin, given)
  const heartbeat = given.heartbeat ?? Math.min(15_000, Math.floor(detectWithin / 2))
  const probing = keepAlive === false ? heartbeat : keepAlive.idle
  if (probing === false) {
    throw unkeepable('keepAlive', 'With neither keepAlive nor heartbeat nothing asks an idle peer.')
  }
  const pace = clamp(Math.round(detectWithin / 12), 250, 2_500)
  const urgentPace = clamp(Math.round(detectWithin / 24), 150, 500)
  const silence = detectWithin + GRACE - RESERVE - probing - pace - urgentPace
  const interval = keepAlive === false ? 1_000 : keepAlive.interval
  if (silence < 2 * interval + RESERVE) {
    throw unkeepable(
      keepAlive === false ? 'heartbeat' : 'keepAlive',
      `Three unanswered probes do not fit into detectWithin = ${detectWithin} ms with these intervals.`,
    )
  }
  return Object.freeze({
    detectWithin,
    keepAlive,
    heartbeat,
    userTimeout: userTimeoutPlan(given, silence, keepAlive),
    retransmitMax: given.retransmitMax ?? clamp(interval, 1_000, 120_000),
    silence,
    pace,
    checkPace: keepAlive === false ? pace : clamp(keepAlive.idle, pace, 10_000),
    // One that fell silent right after a look is seen when the silence is nearly over, not after it.
    quietPace: Math.max(pace, silence - 2 * urgentPace),
    urgentPace,
    toleratedOutage: Math.max(0, silence - interval - RESERVE),
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

function keepAlivePlan(
  detectWithin: number,
  given: LivenessOverrides,
): Readonly<KeepAliveOptions> | false {
  if (given.keepAlive !== undefined) {
    return given.keepAlive && Object.freeze({ ...given.keepAlive })
  }
  const idle = wholeSeconds(detectWithin / 5)
  const interval = wholeSeconds(detectWithin / 10)
  // The count only rules while TCP_USER_TIMEOUT is off; idle + interval x count is then about D.
  const count = Math.max(3, Math.floor((detectWithin - idle) / interval))
  return Object.freeze({ idle, interval, count })
}

/**
 * The kernel counts from the first timeout and the monitor from the first sight, so they end close together;
 * the monitor, which knows a living peer with a shut window from a dead one, should come first.
 *
 * Never below idle + 3 x interval: with less, one lost probe would kill (grpc-go issue 6250; reproduced).
 */
function userTimeoutPlan(
  given: LivenessOverrides,
  silence: number,
  keepAlive: KeepAliveOptions | false,
): number | false {
  const least = keepAlive === false ? 0 : keepAlive.idle + 3 * keepAlive.interval + 100
  if (given.userTimeout === undefined) return Math.max(silence + RESERVE, least)
  if (given.userTimeout !== false && given.userTimeout < least) {
    throw unkeepable(
      'userTimeout',
      `userTimeout must be more than keepAlive.idle + 3 x keepAlive.interval (at least ${least} ms): ` +
        'with less, a lost keepalive probe kills a living peer.',
    )
  }
  return given.userTimeout
}

function unkeepable(option: string, message: string): TcpSseError {
  return new TcpSseError('ERR_OPTION_VALUE', message, { option })
}

/** At least one second, and rounded down: asking earlier never breaks the promise. */
function wholeSeconds(milliseconds: number): number {
  return Math.max(1, Math.floor(milliseconds / 1000)) * 1000
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value))
}
