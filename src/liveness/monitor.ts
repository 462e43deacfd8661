// One timer and one native call a tick, for all sockets of the process.
import type { Socket } from 'node:net'
import { type Clock, systemClock } from '../internal/clock.js'
import { isolated } from '../internal/rethrow.js'
import { TCP_CLOSE } from '../tcp/info.js'
import type { KernelSettings } from '../tcp/kernel-settings.js'
import { settingsOf } from '../tcp/options.js'
import { examine, type Moment, tellOfDestroyed } from './examiner.js'
import { type Kernel, systemKernel } from './kernel.js'
import { observe } from './observe.js'
import type { MonitorPlan } from './plan.js'
import { column } from './reading.js'
import { table } from './row.js'
import { Subject, sooner } from './subject.js'
import type { Watch, Watchable, Watcher, WatchOptions } from './watch.js'
import { isSamePlan } from './watchers.js'

/** The longest that looks hold the event loop at a time, ms; with thousands of sockets the rest comes a turn later. */
const BUDGET = 1
/** So many looks are made with one native call. */
const AT_ONCE = 64
/** A tick that comes later than this after its time, ms: the event loop was blocked. */
const BLOCKED = 50

/** A socket, as far as marks on it go. */
interface Marked<S extends Watchable> {
  [mark: symbol]: WatchedSocket<S> | undefined
}

/** A subject, as its watchers have it. */
export class WatchedSocket<S extends Watchable> extends Subject<S> implements Watch {
  readonly #monitor: Monitor<S>

  constructor(monitor: Monitor<S>, ...subject: ConstructorParameters<typeof Subject<S>>) {
    super(...subject)
    this.#monitor = monitor
  }

  get kernel(): Kernel<S> {
    return this.#monitor.kernel
  }

  hurry(): void {
    this.#monitor.hurry(this)
  }

  release(watcher: Watcher): void {
    this.#monitor.release(this, watcher)
  }
}

/** Watches sockets. Its cost is proportional to the sockets watched; with none there is no timer. */
export class Monitor<S extends Watchable = Socket> {
  readonly #clock: Clock
  /** @internal */
  readonly kernel: Kernel<S>
  readonly #subjects: WatchedSocket<S>[] = []
  /** Where a socket's subject is found: on the socket. */
  readonly #mark = Symbol('tcp-sse.subject')
  #cancelTimer: (() => void) | undefined
  #timerAt = 0
  #lastTick = Number.NEGATIVE_INFINITY
  /** Those that the tick under way has still to look at, and when the next of the others is due. */
  #due: WatchedSocket<S>[] = []
  #next = Number.POSITIVE_INFINITY
  /** The least time between two ticks. */
  #gap = Number.POSITIVE_INFINITY
  /** For how long the event loop has been blocked when a tick was due, ms in all. */
  #blockedFor = 0

  constructor(clock: Clock, kernel: Kernel<S>) {
    this.#clock = clock
    this.kernel = kernel
  }

  /** How many sockets are under watch. */
  get size(): number {
    return this.#subjects.length
  }

  /** All watchers, as of now: not to be kept over a turn of the event loop. */
  *watchers(): Generator<Watcher, void, undefined> {
    for (const subject of this.#subjects) yield* subject.watchers
  }

  /** Arms a socket by the watcher's plan and looks at it from now on. Of several plans for one socket the strictest rules. */
  watch(socket: S, watcher: Watcher, options: WatchOptions = {}): WatchedSocket<S> {
    const now = this.#clock.now()
    const before = (socket as unknown as Marked<S>)[this.#mark]
    const subject = before ?? this.#take(socket, watcher, options, now)
    if (before !== undefined) {
      subject.add(watcher)
      this.#adopt(subject)
    }
    subject.nextLook = Math.min(subject.nextLook, now + subject.plan.urgentPace)
    subject.deadline = 0
    this.#scheduleFor(subject)
    return subject
  }

  /** A socket that was not under watch. Its window may be shut already, so it is looked at before it is armed. */
  #take(socket: S, watcher: Watcher, options: WatchOptions, now: number): WatchedSocket<S> {
    const { inheritedFrom } = options
    const { plan } = watcher
    const inherited = inheritedFrom !== undefined
    const saved: KernelSettings = inherited ? [['TCP_USER_TIMEOUT', inheritedFrom]] : []
    const loopTime = now - this.#blockedFor
    const subject = new WatchedSocket(this, socket, plan, saved, now, loopTime)
    subject.add(watcher)
    subject.index = this.#subjects.length
    this.#subjects.push(subject)
    ;(socket as unknown as Marked<S>)[this.#mark] = subject
    this.kernel.look([socket], table, [subject.current])
    if (table.get(subject.current, column.errno) === 0) {
      observe(table, undefined, subject.current, plan, now)
      subject.advance(subject.current)
    }
    if (!inherited) {
      subject.change([
        ...keepAliveOf(plan),
        ...subject.clockSettings(),
        ...subject.lowWaterSettings(),
      ])
      return subject
    }
    // Inherited options stay with the connection, the low-water mark too.
    if (plan.userTimeout !== false) subject.userTimeout = Math.ceil(plan.userTimeout)
    subject.retransmitMax = plan.retransmitMax || Number.NaN
    subject.notSentLowWater = watcher.notSentLowWater ?? Number.NaN
    subject.change(subject.clockSettings())
    return subject
  }

  /** Puts the strictest plan of the present watchers in force. */
  #adopt(subject: WatchedSocket<S>): void {
    const { strictest } = subject
    if (strictest === undefined || isSamePlan(strictest, subject.plan)) {
      subject.change(subject.lowWaterSettings())
      return
    }
    subject.plan = strictest
    if (subject.socket.destroyed) return
    subject.retransmitMax = Number.NaN
    // What the connection needs is known from the last look; the next one is soon.
    subject.change([
      ...subject.lowWaterSettings(),
      ...keepAliveOf(strictest),
      ...this.#withoutUserTimeout(subject),
      ...subject.clockSettings(),
    ])
    this.hurry(subject)
  }

  /**
   * A plan that had a TCP_USER_TIMEOUT has left, and this one has none: nobody would switch it off behind a shut window, and it
   * would end a living client there.
   */
  #withoutUserTimeout(subject: WatchedSocket<S>): KernelSettings {
    const before = subject.valueBefore('TCP_USER_TIMEOUT')
    if (subject.plan.userTimeout !== false || Number.isNaN(subject.userTimeout)) return []
    subject.userTimeout = Number.NaN
    return before === undefined ? [] : [['TCP_USER_TIMEOUT', before]]
  }

  /** @internal */
  release(subject: WatchedSocket<S>, watcher: Watcher): void {
    if (!subject.remove(watcher)) return
    if (subject.count === 0) this.drop(subject)
    else this.#adopt(subject)
  }

  /** @internal */
  drop(subject: WatchedSocket<S>): void {
    if (!subject.held) return
    const last = this.#subjects.pop() as WatchedSocket<S>
    if (last !== subject) {
      this.#subjects[subject.index] = last
      last.index = subject.index
    }
    ;(subject.socket as unknown as Marked<S>)[this.#mark] = undefined
    const { socket, saved } = subject
    if (saved.length > 0 && !socket.destroyed && subject.get(column.state) !== TCP_CLOSE) {
      this.kernel.set(socket, saved)
    }
    subject.giveBack()
    if (this.#subjects.length > 0) return
    this.#due = []
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }

  /**
   * The next tick comes when the next look is due, but never sooner than a part of the smallest pace after the last: looks
   * that are due close together share a tick. So a look is late or early by half of that part at most.
   */
  #setTimer(next: number, now: number): void {
    const at = Math.max(next, this.#lastTick + this.#gap)
    if (this.#cancelTimer !== undefined) {
      if (at >= this.#timerAt) return
      this.#cancelTimer()
    }
    this.#timerAt = at
    this.#cancelTimer = this.#clock.after(Math.max(1, at - now), () => {
      this.#cancelTimer = undefined
      this.#tick()
    })
  }

  /** @internal */
  hurry(subject: WatchedSocket<S>): void {
    subject.nextLook = 0
    subject.deadline = 0
    this.#scheduleFor(subject)
  }

  /** Without a pass over all, where the timer is early enough already. */
  #scheduleFor({ nextLook, plan }: WatchedSocket<S>): void {
    this.#gap = Math.min(this.#gap, plan.urgentPace / 2)
    this.#next = Math.min(this.#next, nextLook)
    this.#setTimer(nextLook, this.#clock.now())
  }

  /** Looks at those that are due, as many as the budget allows; the rest in the next turn. */
  #tick(): void {
    const startedAt = this.#clock.now()
    const late = startedAt - this.#timerAt
    if (late > BLOCKED) this.#blockedFor += late
    if (this.#due.length === 0) this.#findDue(startedAt)
    // Again: a dump of thousands of connections takes longer than the clocks that are compared may differ.
    const now = this.#clock.now()
    const horizon = now + this.#gap / 2
    let seen = 0
    while (seen < this.#due.length && (seen === 0 || this.#clock.now() < now + BUDGET)) {
      const some = this.#due.slice(seen, seen + AT_ONCE)
      this.#visit(some, now, horizon)
      this.#next = some.reduce(sooner, this.#next)
      seen += some.length
    }
    this.#due = this.#due.slice(seen)
    // The gap between ticks is for sharing looks, not for putting them off.
    const cut = this.#due.length > 0
    this.#lastTick = cut ? Number.NEGATIVE_INFINITY : now
    if (this.#subjects.length > 0) this.#setTimer(cut ? now : this.#next, this.#clock.now())
  }

  /** One pass over all sockets. */
  #findDue(now: number): void {
    const horizon = now + this.#gap / 2
    let pace = Number.POSITIVE_INFINITY
    this.#next = Number.POSITIVE_INFINITY
    for (const subject of this.#subjects) {
      pace = Math.min(pace, subject.plan.urgentPace)
      if (subject.nextLook <= horizon) this.#due.push(subject)
      else this.#next = sooner(this.#next, subject)
    }
    this.#gap = pace / 2
    this.kernel.begin?.(this.#due.length)
  }

  #visit(due: readonly WatchedSocket<S>[], now: number, horizon: number): void {
    const moment: Moment = { now, loopTime: now - this.#blockedFor }
    const some: WatchedSocket<S>[] = []
    for (const subject of due) {
      // Whoever was called earlier in this tick may have ended it, and begun another watch of the same socket.
      if (!subject.held) continue
      if (subject.socket.destroyed) this.#visitDestroyed(subject)
      else if (this.#isUnchanged(subject, horizon)) subject.passOver(now, moment.loopTime)
      else some.push(subject)
    }
    if (some.length === 0) return
    // With the look: what a watcher writes between the two would never be seen.
    const activities = some.map(({ socket }) => this.kernel.activity(socket))
    this.kernel.look(
      some.map(({ socket }) => socket),
      table,
      some.map(({ spare }) => spare),
    )
    for (const [i, subject] of some.entries()) {
      isolated(() => {
        if (!examine(subject, activities[i] as number, moment)) return
        this.drop(subject)
        this.kernel.reset(subject.socket)
      })
    }
  }

  /** Whether a look would show what the last one showed: all was acknowledged, and nothing was written since. */
  #isUnchanged({ quiet, deadline, activity, socket }: WatchedSocket<S>, horizon: number): boolean {
    return quiet && deadline > horizon && this.kernel.activity(socket) === activity
  }

  /**
   * Node tells of a socket's end, but not everybody: a response that waits behind another one hears nothing. Whoever still
   * watches at the second sight has heard nothing.
   */
  #visitDestroyed(subject: WatchedSocket<S>): void {
    if (subject.seenDestroyed) {
      tellOfDestroyed(subject)
      this.drop(subject)
      return
    }
    subject.seenDestroyed = true
    subject.nextLook = 0
  }
}

/** Keepalive as a plan has it. Worked out once for each plan: thousands of streams share one. */
function keepAliveOf(plan: MonitorPlan): KernelSettings {
  const { keepAlive } = plan
  let settings = keepAliveSettings.get(plan)
  if (settings === undefined) {
    settings = keepAlive === false ? [] : settingsOf({ keepAlive })
    keepAliveSettings.set(plan, settings)
  }
  return settings
}

const keepAliveSettings = new WeakMap<MonitorPlan, KernelSettings>()

/** The monitor that everything in this process shares. */
export const sharedMonitor = new Monitor(systemClock, systemKernel)
