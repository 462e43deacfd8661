// One socket under watch, from the monitor's side.
import type { Socket } from 'node:net'
import { TCP_CLOSE, TCP_CLOSE_WAIT, TCP_ESTABLISHED } from '../socket/inspect.js'
import type { KernelSettings } from '../socket/options.js'
import type { LivenessPlan } from './plan.js'
import { Row } from './row.js'
import { copyOf, type Observation, silentFor, type Verdict } from './verdict.js'
import type { PeerEvidence, Watcher } from './watch.js'

/** What one watcher wants of a socket. */
export interface Watching {
  readonly watcher: Watcher
  readonly plan: LivenessPlan
  readonly notSentLowWater: number | undefined
  /** The next one's: nearly every socket has one watcher, which needs no list. */
  next: Watching | undefined
}

/** A socket and what is remembered of it. */
export class Subject extends Row {
  readonly socket: Socket
  plan: LivenessPlan
  /** The first of its watchers. */
  first: Watching | undefined = undefined
  /** What was in force before the watch. */
  readonly saved: KernelSettings
  /** TCP_NOTSENT_LOWAT, bytes: what the watch has set, and what was in force before it did. */
  notSentLowWater: number | undefined = undefined
  notSentLowWaterBefore: number | undefined = undefined
  /** What was last set by a tick; `undefined` before the first. */
  userTimeout: number | undefined = undefined
  verdict: Verdict = 'alive'
  /** Whether the kernel was ever looked at. */
  looked = false
  /** Whether nothing was outstanding at the last look. */
  quiet = false
  seenDestroyed = false

  constructor(socket: Socket, plan: LivenessPlan, saved: KernelSettings, now: number) {
    super()
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
    return this.looked ? this : undefined
  }

  /** Notes a look. */
  observe(observation: Observation): void {
    this.looked = true
    this.note(observation)
    this.quiet = isQuiet(observation)
  }

  /** The watchers, as of now. */
  get watchers(): Watching[] {
    const all: Watching[] = []
    for (let each = this.first; each !== undefined; each = each.next) all.push(each)
    return all
  }

  add(watching: Watching): void {
    const last = this.watchers.at(-1)
    if (last === undefined) this.first = watching
    else last.next = watching
  }

  /** Returns whether it was there. */
  remove(watching: Watching): boolean {
    const all = this.watchers
    const at = all.indexOf(watching)
    if (at < 0) return false
    const before = all[at - 1]
    if (before === undefined) this.first = watching.next
    else before.next = watching.next
    return true
  }
}

/** Whether the kernel has ended the connection, or the peer has and nobody lets it read on. */
export function hasEnded({ watchers }: Subject, { state }: Observation): boolean {
  if (state === TCP_CLOSE) return true
  if (state !== TCP_CLOSE_WAIT) return false
  return watchers.some(({ watcher }) => watcher.mayHalfClose?.() !== true)
}

/** Whether nothing is outstanding: without a write only keepalive can change that. */
export function isQuiet({ state, unacked, unsent, retransmits, probes }: Observation): boolean {
  return state === TCP_ESTABLISHED && unacked + unsent + retransmits + probes === 0
}

/** What a look would have noted, without it. */
export function passOver(subject: Subject, now: number): void {
  subject.progressAt = now
  if (subject.limitedSince === undefined) subject.unlimitedAt = now
  subject.nextLook = Math.min(now + subject.plan.pace, subject.deadline)
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
