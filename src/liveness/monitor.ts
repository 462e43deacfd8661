// One timer and one native call a tick, for all sockets of the process.
import type { Socket } from 'node:net'
import { type Clock, systemClock } from '../clock.js'
import { TCP_CLOSE, TCP_CLOSE_WAIT } from '../socket/inspect.js'
import { type Kernel, systemKernel } from './kernel.js'
import type { LivenessPlan } from './plan.js'
import {
  judge,
  type Look,
  type Observation,
  observe,
  silentFor,
  userTimeoutFor,
  type Verdict,
} from './verdict.js'

/** What was known of a peer when it was given up. */
export interface PeerEvidence {
  readonly verdict: Verdict
  /** Milliseconds that something went unanswered. */
  readonly silentFor: number
  /** The last look, where the kernel told something. */
  readonly observation: Observation | undefined
}

/** Who is told about a socket. Called from the tick; must not throw. */
export interface Watcher {
  /** The peer is dead. The monitor resets the connection right after. */
  onPeerDead(evidence: PeerEvidence): void
  /** The peer's kernel, or ours, has ended the connection and Node has not noticed: it is not reading. */
  onPeerGone(evidence: PeerEvidence): void
  /**
   * Asked while the peer has sent FIN and the connection lives on: whether that is all right, because the peer may still
   * be reading. The connection is then left alone, as long as all watchers say so. Without it: no.
   */
  mayHalfClose?(): boolean
  /**
   * After each look at the socket.
   *
   * @param stalledFor - ms for which bytes have waited and none was acknowledged (without the kernel's word:
   * none left user space)
   * @returns the time of the watcher's next deadline, or `Infinity`
   */
  onLook(now: number, stalledFor: number, verdict: Verdict): number
}

/** A socket under watch, from one watcher's side. */
export interface Watch {
  readonly verdict: Verdict
  /** The latest look. */
  readonly observation: Observation | undefined
  /** Whether somebody else watches the same socket. */
  readonly shared: boolean
  /** Asks for a look at the next tick. */
  hurry(): void
  /**
   * Ends this watcher's interest. The last one leaves the socket's TCP_USER_TIMEOUT as it was before, since nobody
   * would be there to switch it off behind a shut window.
   *
   * @param untilDelivered - first wait, without any watcher, until the peer has acknowledged everything or is dead
   */
  release(untilDelivered?: boolean): void
}

/** Watches sockets. Its cost is proportional to the sockets watched; with none there is no timer. */
export class Monitor {
  readonly #clock: Clock
  readonly #kernel: Kernel
  readonly #subjects = new Map<Socket, Subject>()
  #cancelTimer: (() => void) | undefined

  constructor(clock: Clock = systemClock, kernel: Kernel = systemKernel) {
    this.#clock = clock
    this.#kernel = kernel
  }

  /** How many sockets are under watch. */
  get size(): number {
    return this.#subjects.size
  }

  /**
   * Arms a socket by the plan and looks at it from now on. Of several plans for one socket the strictest rules.
   *
   * @param armed - for a socket that has the plan's options already, inherited from its listening socket: the
   * TCP_USER_TIMEOUT to leave behind at the end. Saves the system calls.
   */
  watch(socket: Socket, plan: LivenessPlan, watcher: Watcher, armed?: number): Watch {
    const now = this.#clock.now()
    let subject = this.#subjects.get(socket)
    if (subject === undefined) {
      subject = new Subject(socket, plan, armed ?? this.#kernel.arm(socket, plan), now)
      if (armed !== undefined && plan.userTimeout !== false) {
        subject.userTimeout = Math.ceil(plan.userTimeout)
      }
      this.#subjects.set(socket, subject)
      const [look] = this.#kernel.look([socket])
      if (look !== undefined) subject.observation = observe(undefined, look, plan, now)
      if (look?.windowLimited === 0) subject.unlimitedAt = now
    } else if (plan.detectWithin < subject.plan.detectWithin) {
      subject.plan = plan
      subject.userTimeout = undefined
      this.#kernel.arm(socket, plan)
    }
    subject.watchers.push(watcher)
    subject.nextLook = Math.min(subject.nextLook, now + subject.plan.urgentPace)
    this.#schedule()
    return this.#handle(subject, watcher)
  }

  #handle(subject: Subject, watcher: Watcher): Watch {
    return {
      get verdict() {
        return subject.verdict
      },
      get observation() {
        return subject.observation
      },
      get shared() {
        return subject.watchers.length > 1
      },
      hurry: () => {
        subject.nextLook = 0
      },
      release: (untilDelivered = false) => this.#release(subject, watcher, untilDelivered),
    }
  }

  #release(subject: Subject, watcher: Watcher, untilDelivered: boolean): void {
    const index = subject.watchers.indexOf(watcher)
    if (index < 0) return
    subject.watchers.splice(index, 1)
    if (subject.watchers.length > 0) return
    // Only the kernel can say when the last byte has been acknowledged.
    if (untilDelivered && !subject.socket.destroyed && subject.observation !== undefined) {
      subject.nextLook = 0
    } else {
      this.#drop(subject)
    }
  }

  #drop(subject: Subject): void {
    if (!this.#subjects.delete(subject.socket)) return
    if (!subject.socket.destroyed && subject.observation?.state !== TCP_CLOSE) {
      this.#kernel.setUserTimeout(subject.socket, subject.userTimeoutBefore)
    }
    if (this.#subjects.size > 0) return
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }

  #schedule(): void {
    if (this.#cancelTimer !== undefined || this.#subjects.size === 0) return
    let period = Number.POSITIVE_INFINITY
    for (const { plan } of this.#subjects.values()) period = Math.min(period, plan.urgentPace)
    this.#cancelTimer = this.#clock.after(period, () => {
      this.#cancelTimer = undefined
      this.#tick()
      this.#schedule()
    })
  }

  /** One pass over the sockets that are due. */
  #tick(): void {
    const now = this.#clock.now()
    const due: Subject[] = []
    for (const subject of this.#subjects.values()) {
      if (subject.socket.destroyed) this.#drop(subject)
      else if (subject.nextLook <= now) due.push(subject)
    }
    if (due.length === 0) return
    const looks = this.#kernel.look(due.map(({ socket }) => socket))
    for (let i = 0; i < due.length; i++) this.#look(due[i] as Subject, looks[i], now)
  }

  #look(subject: Subject, look: Look | undefined, now: number): void {
    // A watcher that was called earlier in this tick may have ended this one.
    if (subject.socket.destroyed || !this.#subjects.has(subject.socket)) return
    const { plan, observation: previous } = subject
    subject.nextLook = now + plan.pace
    if (look !== undefined) {
      const current = observe(previous, look, plan, now)
      subject.observation = current
      subject.verdict = judge(previous, current, plan, now)
      if (this.#end(subject, previous, current)) return
      this.#setUserTimeout(subject, current, now)
      if (isBusy(current)) subject.nextLook = now + plan.urgentPace
    }
    this.#noteProgress(subject, previous, now)
    this.#tellWatchers(subject, now)
    if (subject.watchers.length === 0 && !isBusy(subject.observation)) this.#drop(subject)
  }

  /** Ends what has ended. Node is left one look's time to notice a close by itself: it knows the true error. */
  #end(subject: Subject, previous: Observation | undefined, current: Observation): boolean {
    const { socket, verdict, plan } = subject
    const evidence = { verdict, silentFor: silentFor(current), observation: current }
    if (hasEnded(subject, current)) {
      subject.nextLook = current.at + plan.urgentPace
      if (previous?.state !== current.state) return true
      // The kernel forgets what was in flight when it gives up, so the last look before it counts.
      const final = { ...evidence, silentFor: subject.silenceBeforeClose }
      const gaveUp = current.state === TCP_CLOSE && final.silentFor > plan.silence / 2
      for (const watcher of [...subject.watchers]) {
        if (gaveUp) watcher.onPeerDead(final)
        else watcher.onPeerGone(final)
      }
    } else if (verdict === 'dead') {
      for (const watcher of [...subject.watchers]) watcher.onPeerDead(evidence)
    } else {
      subject.silenceBeforeClose = evidence.silentFor
      return false
    }
    this.#drop(subject)
    this.#kernel.reset(socket)
    return true
  }

  #setUserTimeout(subject: Subject, current: Observation, now: number): void {
    const { plan } = subject
    if (plan.userTimeout === false) return
    if (current.windowLimited === 0) subject.unlimitedAt = now
    else if (subject.limitedSince === undefined) subject.limitedSince = subject.unlimitedAt
    const wanted = userTimeoutFor(current, subject.limitedSince, plan, now)
    if (wanted === subject.userTimeout) return
    subject.userTimeout = wanted
    this.#kernel.setUserTimeout(subject.socket, wanted)
  }

  #noteProgress(subject: Subject, previous: Observation | undefined, now: number): void {
    const { observation } = subject
    const pending = this.#kernel.pending(subject.socket)
    if (observation === undefined) {
      if (pending === 0 || pending !== subject.pending) subject.progressAt = now
      subject.pending = pending
      return
    }
    const waiting = observation.unacked > 0 || observation.unsent > 0 || pending > 0
    const moved = previous === undefined || observation.bytesAcked !== previous.bytesAcked
    if (!waiting || moved) subject.progressAt = now
  }

  #tellWatchers(subject: Subject, now: number): void {
    const stalledFor = now - subject.progressAt
    for (const watcher of [...subject.watchers]) {
      const deadline = watcher.onLook(now, stalledFor, subject.verdict)
      subject.nextLook = Math.min(subject.nextLook, deadline)
    }
  }
}

/** The monitor that everything in this process shares. */
export const sharedMonitor = new Monitor()

/** A socket and what is remembered of it. */
class Subject {
  readonly socket: Socket
  plan: LivenessPlan
  readonly watchers: Watcher[] = []
  readonly userTimeoutBefore: number
  /** What was last set by a tick; `undefined` before the first. */
  userTimeout: number | undefined
  verdict: Verdict = 'alive'
  observation: Observation | undefined
  nextLook: number
  /** When bytes last moved, or nothing waited. */
  progressAt: number
  /** Only where the kernel tells nothing. */
  pending = 0
  silenceBeforeClose = 0
  /** The last look at which the peer's window had never held anything up; see `userTimeoutFor`. */
  unlimitedAt: number
  limitedSince: number | undefined

  constructor(socket: Socket, plan: LivenessPlan, userTimeoutBefore: number, now: number) {
    this.socket = socket
    this.plan = plan
    this.userTimeoutBefore = userTimeoutBefore
    this.nextLook = now + plan.urgentPace
    this.progressAt = now
    // What happened before the watch, during earlier responses on the connection, is not known.
    this.unlimitedAt = Number.NEGATIVE_INFINITY
  }
}

/** Whether the kernel has ended the connection, or the peer has and nobody lets it read on. */
function hasEnded({ watchers }: Subject, { state }: Observation): boolean {
  if (state === TCP_CLOSE) return true
  if (state !== TCP_CLOSE_WAIT) return false
  return watchers.length === 0 || watchers.some((each) => each.mayHalfClose?.() !== true)
}

/** Whether the next look should come soon. */
function isBusy(observation: Observation | undefined): boolean {
  return (
    observation !== undefined &&
    (observation.silentSince !== undefined || observation.unsent > 0 || observation.unacked > 0)
  )
}
