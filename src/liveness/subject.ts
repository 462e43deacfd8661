// One socket under watch, from the monitor's side.
import type { Socket } from 'node:net'
import { TCP_CLOSE, TCP_CLOSE_WAIT, TCP_ESTABLISHED } from '../socket/inspect.js'
import type { KernelSettings } from '../socket/options.js'
import type { Kernel } from './kernel.js'
import type { LivenessPlan } from './plan.js'
import { Row } from './row.js'
import { copyOf, type Observation, silentFor, type Verdict } from './verdict.js'
import type { PeerEvidence, Watch, Watchable, Watcher } from './watch.js'

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
  plan: LivenessPlan
  /** One or several: nearly every socket has one, which needs no list. */
  #watchers: Watcher | readonly Watcher[] = []
  /** What was in force before the watch. */
  readonly saved: KernelSettings
  verdict: Verdict = 'alive'
  /** Its place in the keeper's list. */
  index = -1

  constructor(
    keeper: Keeper<S>,
    socket: S,
    plan: LivenessPlan,
    saved: KernelSettings,
    now: number,
  ) {
    super()
    this.#keeper = keeper
    this.socket = socket
    this.plan = plan
    this.saved = saved
    this.nextLook = now + plan.urgentPace
    this.progressAt = now
    this.progress = 0
    this.deadline = 0
    this.silenceBeforeClose = 0
    // What happened before the watch, during earlier responses on the connection, is not known.
    this.unlimitedAt = Number.NEGATIVE_INFINITY
  }

  /** The latest look, overwritten by the next one. */
  get observation(): Observation | undefined {
    return Number.isNaN(this.at) ? undefined : this
  }

  /** The watchers, as of now. */
  get watchers(): readonly Watcher[] {
    const all = this.#watchers
    return isList(all) ? all : [all]
  }

  get shared(): boolean {
    return this.watchers.length > 1
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
  }

  add(watcher: Watcher): void {
    const others = this.watchers
    this.#watchers = others.length === 0 ? watcher : [...others, watcher]
  }

  /** Returns whether it was there. */
  remove(watcher: Watcher): boolean {
    const left = [...this.watchers]
    const at = left.indexOf(watcher)
    if (at < 0) return false
    left.splice(at, 1)
    this.#watchers = left.length === 1 ? (left[0] as Watcher) : left
    return true
  }
}

function isList(watchers: Watcher | readonly Watcher[]): watchers is readonly Watcher[] {
  return Array.isArray(watchers)
}

/** Whether the kernel has ended the connection, or the peer has and nobody lets it read on. */
export function hasEnded({ watchers }: Subject<Watchable>, { state }: Observation): boolean {
  if (state === TCP_CLOSE) return true
  if (state !== TCP_CLOSE_WAIT) return false
  return watchers.some((watcher) => watcher.mayHalfClose?.() !== true)
}

/** Whether nothing is outstanding: without a write only keepalive can change that. */
export function isQuiet({ state, unacked, unsent, retransmits, probes }: Observation): boolean {
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

/** What a look would have noted, without it. */
export function passOver<S extends Watchable>(
  kernel: Kernel<S>,
  subject: Subject<S>,
  now: number,
): void {
  subject.progressAt = now
  if (subject.limitedSince === undefined) subject.unlimitedAt = now
  subject.nextLook = Math.min(now + subject.plan.checkPace, subject.deadline)
  alignLook(kernel, subject, now)
}

/** What a look tells of the bytes that wait, in the kernel or (`pending`) before it. */
export function noteProgress(
  subject: Subject<Watchable>,
  { unacked, unsent, bytesAcked }: Observation,
  previous: Observation | undefined,
  pending: number,
  now: number,
): void {
  const waiting = unacked > 0 || unsent > 0 || pending > 0
  const moved = previous === undefined || bytesAcked !== previous.bytesAcked
  // What was written since the last check may have been written just now.
  const began = waiting && !subject.waiting
  subject.waiting = waiting
  if (!waiting || moved || began) subject.progressAt = now
}

/** What is known of a peer that is given up: a copy, because the observation is overwritten. */
export function evidenceOf(
  { verdict, observation }: Subject<Watchable>,
  silence: number,
): PeerEvidence {
  return { verdict, silentFor: silence, observation: observation && copyOf(observation) }
}

/**
 * Milliseconds until the next look: soon while something waits or goes unanswered, and right when the silence would be
 * long enough. What has just been sent is like what may be sent right after a look: the plan has `pace` for that.
 */
export function paceOf(current: Observation, plan: LivenessPlan): number {
  const silent = silentFor(current)
  if (silent > 0) return Math.min(plan.urgentPace, Math.max(1, plan.silence - silent))
  const { unsent, retransmits, probes } = current
  return unsent + retransmits + probes > 0 ? plan.urgentPace : Math.min(plan.pace, plan.silence)
}

/** A subject that has just been dropped has no next look any more: NaN, which is never less. */
export function sooner(next: number, { nextLook }: Subject<Watchable>): number {
  return nextLook < next ? nextLook : next
}
