// One socket under watch, from the monitor's side.
import type { Socket } from 'node:net'
import { TCP_CLOSE, TCP_CLOSE_WAIT, TCP_ESTABLISHED } from '../socket/inspect.js'
import type { KernelSettings } from '../socket/options.js'
import type { LivenessPlan } from './plan.js'
import { type Observation, type Sight, silentFor, type Verdict } from './verdict.js'
import type { PeerEvidence, Watcher } from './watch.js'

/** What one watcher wants of a socket. */
export interface Watching {
  readonly watcher: Watcher
  readonly plan: LivenessPlan
  readonly notSentLowWater: number | undefined
}

/** A socket and what is remembered of it. */
export class Subject {
  readonly socket: Socket
  plan: LivenessPlan
  watchers: readonly Watching[] = []
  /** What was in force before the watch. */
  readonly saved: KernelSettings
  /** TCP_NOTSENT_LOWAT, bytes: what the watch has set, and what was in force before it did. */
  notSentLowWater: number | undefined
  notSentLowWaterBefore: number | undefined
  /** What was last set by a tick; `undefined` before the first. */
  userTimeout: number | undefined
  verdict: Verdict = 'alive'
  /** The latest look, overwritten by the next one. */
  observation: Sight | undefined
  /** Whether nothing was outstanding at it. */
  quiet = false
  nextLook: number
  /** When bytes last moved, or nothing waited. */
  progressAt: number
  /** Only where the kernel tells nothing. */
  progress = 0
  /** The time of the next look, whatever happens on the connection. */
  deadline = 0
  /** What the kernel's `activity` said at the last look. */
  activity = Number.NaN
  seenDestroyed = false
  silenceBeforeClose = 0
  /** The last look at which the peer's window had never held anything up; see `userTimeoutFor`. */
  unlimitedAt: number
  limitedSince: number | undefined

  constructor(socket: Socket, plan: LivenessPlan, saved: KernelSettings, now: number) {
    this.socket = socket
    this.plan = plan
    this.saved = saved
    this.nextLook = now + plan.urgentPace
    this.progressAt = now
    // What happened before the watch, during earlier responses on the connection, is not known.
    this.unlimitedAt = Number.NEGATIVE_INFINITY
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
  return { verdict, silentFor: silence, observation: observation && { ...observation } }
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
