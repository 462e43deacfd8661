// One socket under watch, from the monitor's side.
import type { Socket } from 'node:net'
import { TCP_CLOSE, TCP_CLOSE_WAIT, TCP_ESTABLISHED } from '../tcp/info.js'
import type { KernelSettings } from '../tcp/options.js'
import type { Kernel } from './kernel.js'
import { isIdle, isWindowShut, type Observation } from './observation.js'
import { idleQuestions } from './observe.js'
import { ANSWER_PACE, longerThanShort, retransmitAfter } from './path.js'
import type { MonitorPlan } from './plan.js'
import { Row } from './row.js'
import { deadAt, type Verdict } from './verdict.js'
import type { Watch, Watchable, Watcher } from './watch.js'
import { Watchers } from './watchers.js'

/** Who keeps subjects: the monitor. */
export interface Keeper<S extends Watchable = Socket> {
  hurry(subject: Subject<S>): void
  release(subject: Subject<S>, watcher: Watcher): void
}

/** A socket and what is remembered of it. */
export class Subject<S extends Watchable = Socket> extends Row implements Watch {
  readonly #keeper: Keeper<S>
  readonly socket: S
  /** The strictest of its watchers'. */
  plan: MonitorPlan
  /** One or several: nearly every socket has one, which needs no set. */
  #watchers: Watcher | Watchers | undefined
  /** What was in force before the watch. */
  readonly saved: KernelSettings
  verdict: Verdict = 'alive'
  /** Its place in the keeper's list. */
  index = -1

  constructor(
    keeper: Keeper<S>,
    socket: S,
    plan: MonitorPlan,
    saved: KernelSettings,
    now: number,
    loopTime: number,
  ) {
    super()
    this.#keeper = keeper
    this.socket = socket
    this.plan = plan
    this.saved = saved
    this.nextLook = now + plan.urgentPace
    this.progressAt = loopTime
    this.progress = 0
    this.deadline = 0
    this.silenceBeforeClose = 0
    this.retransmitMax = plan.retransmitMax || 0
    this.probedAt = Number.NEGATIVE_INFINITY
    // What happened before the watch, during earlier responses on the connection, is not known.
    this.windowClearAt = Number.NEGATIVE_INFINITY
    this.lossClearAt = Number.NEGATIVE_INFINITY
  }

  /** The latest look, overwritten by the next one. */
  get observation(): Observation | undefined {
    return Number.isNaN(this.at) ? undefined : this
  }

  /** The watchers, as of now. */
  get watchers(): readonly Watcher[] {
    const all = this.#watchers
    if (all instanceof Watchers) return all.list()
    return all === undefined ? [] : [all]
  }

  /** How many there are. */
  get count(): number {
    const all = this.#watchers
    if (all instanceof Watchers) return all.size
    return all === undefined ? 0 : 1
  }

  get shared(): boolean {
    return this.count > 1
  }

  /** The strictest plan of the watchers; `undefined` without any. */
  get strictest(): MonitorPlan | undefined {
    return this.#watchers?.plan
  }

  /** The lowest low-water mark that a watcher asks for. */
  get lowWater(): number | undefined {
    const all = this.#watchers
    return all instanceof Watchers ? all.lowWater : all?.notSentLowWater
  }

  hurry(): void {
    this.#keeper.hurry(this)
  }

  release(watcher: Watcher): void {
    this.#keeper.release(this, watcher)
  }

  /** Notes a look. */
  observe(observation: Observation): void {
    this.note(observation)
    this.quiet = isQuiet(observation)
    if (observation.windowLimited === 0) this.windowClearAt = observation.at
    if (observation.totalRetransmits === 0) this.lossClearAt = observation.at
  }

  /** What a look would have noted, without it: nothing was written since the last one, and that one was quiet. */
  passOver(now: number, loopTime: number): void {
    this.progressAt = loopTime
    if (this.windowLimited === 0) this.windowClearAt = now
    if (this.totalRetransmits === 0) this.lossClearAt = now
    this.nextLook = Math.min(now + this.plan.checkPace, this.deadline)
  }

  add(watcher: Watcher): void {
    const before = this.#watchers
    if (before === undefined) {
      this.#watchers = watcher
      return
    }
    const all = before instanceof Watchers ? before : new Watchers()
    if (before !== all) all.add(before as Watcher)
    all.add(watcher)
    this.#watchers = all
  }

  /** Returns whether it was there. */
  remove(watcher: Watcher): boolean {
    const all = this.#watchers
    if (all === watcher) {
      this.#watchers = undefined
      return true
    }
    if (!(all instanceof Watchers) || !all.remove(watcher)) return false
    if (all.size === 1) this.#watchers = all.list()[0]
    return true
  }
}

/** Whether the kernel has ended the connection, or the peer has and nobody lets it read on. */
export function hasEnded({ watchers }: Subject<Watchable>, { state }: Observation): boolean {
  if (state === TCP_CLOSE) return true
  if (state !== TCP_CLOSE_WAIT) return false
  return watchers.some((watcher) => watcher.mayHalfClose?.() !== true)
}

/** Whether nothing is outstanding: without a write only keepalive can change that. */
function isQuiet({ state, unacked, unsent, retransmits, probes }: Observation): boolean {
  return state === TCP_ESTABLISHED && unacked + unsent + retransmits + probes === 0
}

/** Lets the kernel choose a better time near the next look's, or before it. */
export function alignLook<S extends Watchable>(
  kernel: Kernel<S>,
  subject: Subject<S>,
  now: number,
): void {
  const at = kernel.align?.(subject.nextLook, now)
  if (at !== undefined) subject.nextLook = at
}

/** What a look tells of the bytes that wait, in the kernel or (`pending`) before it. */
export function noteProgress(
  subject: Subject<Watchable>,
  { unacked, unsent, bytesAcked }: Observation,
  previous: Observation | undefined,
  pending: number,
  loopTime: number,
): void {
  const waiting = unacked > 0 || unsent > 0 || pending > 0
  const moved = previous === undefined || bytesAcked !== previous.bytesAcked
  countStall(subject, waiting, moved, loopTime)
}

/** A stall counts from the first look that sees bytes wait: they may have been written just before it. */
export function countStall(
  subject: Subject<Watchable>,
  waiting: boolean,
  moved: boolean,
  loopTime: number,
): void {
  const began = waiting && !subject.waiting
  subject.waiting = waiting
  if (!waiting || moved || began) subject.progressAt = loopTime
}

/**
 * Milliseconds until the next look: soon while something waits or goes unanswered, and right when the peer would be
 * dead.
 */
export function paceOf(current: Observation, plan: MonitorPlan): number {
  const { at, asked, answeredAt, unsent, retransmits, probes } = current
  const urgentPace =
    probes > 0 && isIdle(current) ? Math.min(plan.urgentPace, plan.probePace) : plan.urgentPace
  const overdue = asked > 0 && !(at - answeredAt < retransmitAfter(current))
  if (overdue) return Math.min(urgentPace, Math.max(1, deadAt(current, plan) - at))
  const waits = unsent + retransmits + probes > 0 || isWindowShut(current)
  return waits ? urgentPace : plan.pace
}

/**
 * The latest time of the next look at a socket on which nothing is written meanwhile. Keepalive asks its peer, and the age of
 * the last answer tells since when it has been silent, however late the look.
 */
export function quietUntil(current: Observation, plan: MonitorPlan): number {
  const { at, answeredAt } = current
  if (plan.keepAlive === false) return at + plan.quietPace
  // The plan has the time that an answer takes on a short path.
  const latest = answeredAt + quietFor(current, plan) - longerThanShort(current)
  return Math.max(at + plan.urgentPace, latest)
}

/**
 * How old the last answer of an idle peer may be at a look, so that it can be asked as often as its path needs: by keepalive
 * before this look, and by the monitor, which asks more often, after it.
 */
function quietFor(current: Observation, plan: MonitorPlan): number {
  const { keepAlive, quietPace, probePace } = plan
  if (keepAlive === false) return quietPace
  const step = Math.max(ANSWER_PACE, probePace)
  const spare =
    quietPace / step - keepAlive.idle / keepAlive.interval - idleQuestions(current, plan)
  const slower = 1 / step - 1 / keepAlive.interval
  const latest = slower > 0 ? spare / slower : quietPace
  return Math.min(quietPace, Math.max(keepAlive.idle + probePace, latest))
}

/** A subject that has just been dropped has no next look any more: NaN, which is never less. */
export function sooner(next: number, { nextLook }: Subject<Watchable>): number {
  return nextLook < next ? nextLook : next
}
