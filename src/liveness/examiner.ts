// What follows from one look at one socket: a verdict, an end, the kernel's options, what its watchers hear.
import type { Socket } from 'node:net'
import { isolated } from '../internal/rethrow.js'
import { TCP_CLOSE } from '../tcp/info.js'
import { evidenceOf } from './evidence.js'
import type { Kernel } from './kernel.js'
import { retransmitMaxFor, userTimeoutFor } from './kernel-clocks.js'
import { isIdle, type Observation, Sight } from './observation.js'
import { observe } from './observe.js'
import { CLOCK_TOLERANCE } from './path.js'
import {
  alignLook,
  countStall,
  hasEnded,
  noteProgress,
  paceOf,
  quietUntil,
  type Subject,
} from './subject.js'
import { judge, silentFor } from './verdict.js'
import type { Watchable, Watcher } from './watch.js'

/** Who holds the subjects. */
export interface Holder<S extends Watchable = Socket> {
  holds(subject: Subject<S>): boolean
  drop(subject: Subject<S>): void
}

/** When a look was made. */
export interface Moment {
  readonly now: number
  /** The same without the time for which the event loop was blocked: what the client did meanwhile could not be seen. */
  readonly loopTime: number
}

/** The observation before the one that is judged. What is kept of both is in the subject's row. */
const last = new Sight()

/** Draws the conclusions from looks. */
export class Examiner<S extends Watchable = Socket> {
  readonly #kernel: Kernel<S>
  readonly #holder: Holder<S>

  constructor(kernel: Kernel<S>, holder: Holder<S>) {
    this.#kernel = kernel
    this.#holder = holder
  }

  /** The first look at a socket, before its options are set: its window may be shut already. */
  begin(subject: Subject<S>, sight: Sight, now: number): void {
    subject.observe(observe(undefined, sight, subject.plan, now))
    this.setKernelClocks(subject, subject)
  }

  /**
   * A look in a tick.
   *
   * @param sight - what the kernel told, or `undefined` where it tells nothing
   * @param activity - the kernel's `activity` when the look was made
   */
  look(subject: Subject<S>, sight: Sight | undefined, activity: number, moment: Moment): void {
    const { now, loopTime } = moment
    // A watcher that was called earlier in this tick may have ended this one.
    if (subject.socket.destroyed || !this.#holder.holds(subject)) return
    subject.nextLook = now + subject.plan.pace
    subject.activity = activity
    const previous = subject.recall(last)
    if (sight === undefined) {
      this.#noteProgressWithoutKernel(subject, loopTime)
      this.#tellWatchers(subject, moment)
      return
    }
    const current = observe(previous, sight, subject.plan, now)
    subject.observe(current)
    noteProgress(subject, current, previous, this.#kernel.pending(subject.socket), loopTime)
    const { verdict } = subject
    subject.verdict = judge(previous, current, subject.plan, now)
    if (subject.verdict !== verdict) {
      tell(subject, (watcher) => watcher.onVerdict?.(subject.verdict, verdict))
      // Whoever was told may have ended the watch, or begun another.
      if (!this.#holder.holds(subject)) return
    }
    if (this.#end(subject, previous, current)) return
    this.setKernelClocks(subject, current)
    this.#probeAgain(subject, current)
    subject.nextLook = now + paceOf(current, subject.plan)
    subject.deadline = quietUntil(current, subject.plan)
    this.#tellWatchers(subject, moment)
  }

  /** A socket that was found destroyed, and whose watchers still watch: they have heard nothing. */
  gone(subject: Subject<S>): void {
    const evidence = evidenceOf(subject, 0)
    tell(subject, (watcher) => watcher.onPeerGone(evidence))
    this.#holder.drop(subject)
  }

  /** TCP_USER_TIMEOUT and TCP_RTO_MAX_MS, as they should be now. */
  setKernelClocks(subject: Subject<S>, current: Observation): void {
    const { plan, socket, userTimeout, retransmitMax } = subject
    if (plan.userTimeout !== false) {
      const wanted = userTimeoutFor(current, subject, plan, current.at, userTimeout)
      if (wanted !== userTimeout) this.#kernel.setUserTimeout(socket, wanted)
      subject.userTimeout = wanted
    }
    if (plan.retransmitMax !== false) {
      const wanted = retransmitMaxFor(current, plan, retransmitMax)
      if (wanted !== retransmitMax) this.#kernel.setRetransmitMax(socket, wanted)
      subject.retransmitMax = wanted
    }
  }

  /** Ends what has ended. Node is left one look's time to notice a close by itself: it knows the true error. */
  #end(subject: Subject<S>, previous: Observation | undefined, current: Observation): boolean {
    const { socket, verdict, plan } = subject
    const silence = silentFor(current)
    if (hasEnded(subject, current)) {
      subject.nextLook = current.at + plan.urgentPace
      if (previous?.state !== current.state) return true
      // The kernel forgets what was in flight when it gives up, so the last look before it counts.
      const evidence = evidenceOf(subject, subject.silenceBeforeClose)
      const gaveUp = current.state === TCP_CLOSE && evidence.silentFor > plan.silence / 2
      tell(subject, (watcher) => {
        if (gaveUp) watcher.onPeerDead(evidence)
        else watcher.onPeerGone(evidence)
      })
    } else if (verdict === 'dead') {
      const evidence = evidenceOf(subject, silence)
      tell(subject, (watcher) => watcher.onPeerDead(evidence))
    } else {
      subject.silenceBeforeClose = silence
      return false
    }
    this.#holder.drop(subject)
    this.#kernel.reset(socket)
    return true
  }

  /** An idle peer that has left a probe unanswered is asked again sooner than keepalive, which counts seconds, would. */
  #probeAgain(subject: Subject<S>, current: Observation): void {
    const { plan, socket, probedAt } = subject
    if (current.probes === 0 || !isIdle(current) || plan.keepAlive === false) return
    // The first one has the time of a round trip before it counts as unanswered.
    const askedAt = Math.max(probedAt, current.answeredAt + plan.keepAlive.idle)
    const pace =
      probedAt > current.answeredAt ? plan.probePace : Math.max(plan.probePace, current.rtt || 0)
    if (current.at - askedAt < pace - CLOCK_TOLERANCE) return
    this.#kernel.probe(socket, plan)
    subject.probedAt = current.at
  }

  /** Only what leaves user space is known. */
  #noteProgressWithoutKernel(subject: Subject<S>, loopTime: number): void {
    const pending = this.#kernel.pending(subject.socket)
    const progress = this.#kernel.progress(subject.socket)
    countStall(subject, pending > 0, progress !== subject.progress, loopTime)
    subject.progress = progress
    subject.deadline = 0
  }

  #tellWatchers(subject: Subject<S>, { now, loopTime }: Moment): void {
    const stalledFor = loopTime - subject.progressAt
    tell(subject, (watcher) => {
      const deadline = watcher.onLook(now, stalledFor, subject.verdict, loopTime)
      subject.deadline = Math.min(subject.deadline, deadline)
      subject.nextLook = Math.min(subject.nextLook, deadline)
    })
    alignLook(this.#kernel, subject, now)
  }
}

/** What one watcher does wrong harms no other. */
function tell(subject: Subject<Watchable>, action: (watcher: Watcher) => void): void {
  for (const watcher of subject.watchers) isolated(() => action(watcher))
}
