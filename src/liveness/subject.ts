// One socket under watch, from the monitor's side.
import type { Socket } from 'node:net'
import { TCP_CLOSE, TCP_CLOSE_WAIT, TCP_ESTABLISHED } from '../socket/inspect.js'
import type { KernelSettings } from '../socket/options.js'
import type { LivenessPlan } from './plan.js'
import { Row } from './row.js'
import { copyOf, type Observation, silentFor, type Verdict } from './verdict.js'
import type { PeerEvidence, Watch, Watcher } from './watch.js'
import { Watchers } from './watchers.js'

/** Who keeps subjects: the monitor. */
export interface Keeper {
  hurry(subject: Subject): void
  release(subject: Subject, watcher: Watcher): void
}

/** A socket and what is remembered of it. */
export class Subject extends Row implements Watch {
  readonly #keeper: Keeper
  readonly socket: Socket
  /** The strictest of its watchers'. */
  plan: LivenessPlan
  /** One or several: nearly every socket has one, which needs no set. */
  #watchers: Watcher | Watchers | undefined
  /** What was in force before the watch. */
  readonly saved: KernelSettings
  verdict: Verdict = 'alive'
  /** Its place in the keeper's list. */
  index = -1

  constructor(
    keeper: Keeper,
    socket: Socket,
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
  get strictest(): LivenessPlan | undefined {
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
export function hasEnded({ watchers }: Subject, { state }: Observation): boolean {
  if (state === TCP_CLOSE) return true
  if (state !== TCP_CLOSE_WAIT) return false
  return watchers.some((watcher) => watcher.mayHalfClose?.() !== true)
}

/** Whether nothing is outstanding: without a write only keepalive can change that. */
export function isQuiet({ state, unacked, unsent, retransmits, probes }: Observation): boolean {
  return state === TCP_ESTABLISHED && unacked + unsent + retransmits + probes === 0
}

/** What a look would have noted, without it. */
export function passOver(subject: Subject, now: number): void {
  subject.progressAt = now
  if (subject.limitedSince === undefined) subject.unlimitedAt = now
  subject.nextLook = Math.min(now + subject.plan.checkPace, subject.deadline)
}

/** What a look tells of the bytes that wait, in the kernel or (`pending`) before it. */
export function noteProgress(
  subject: Subject,
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
export function evidenceOf({ verdict, observation }: Subject, silence: number): PeerEvidence {
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
export function sooner(next: number, { nextLook }: Subject): number {
  return nextLook < next ? nextLook : next
}
