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
import { CLOCK_TOLERANCE } from './path.js'
import type { MonitorPlan } from './plan.js'
import { column } from './reading.js'
import { table } from './row.js'
import { SocketState, sooner } from './socket-state.js'
import type { Watch, Watchable, Watcher, WatchOptions } from './watch.js'
import { isSamePlan } from './watchers.js'

/** The longest that looks hold the event loop at a time, ms; with thousands of sockets the rest comes a turn later. */
const BUDGET = 1
/** So many looks are made with one native call. */
const AT_ONCE = 64
/** How often one sample is taken at most if the process gets interrupted. */
const MOST_READS = 3
/** A tick that comes later than this after its time, ms: the event loop was blocked. */
const BLOCKED = 50

/** A socket, as far as marks on it go. */
interface Marked<S extends Watchable> {
  [mark: symbol]: MonitoredSocket<S> | undefined
}

/** A monitored socket, as its watchers use it. */
export class MonitoredSocket<S extends Watchable> extends SocketState<S> implements Watch {
  readonly #monitor: Monitor<S>

  constructor(monitor: Monitor<S>, ...watched: ConstructorParameters<typeof SocketState<S>>) {
    super(...watched)
    this.#monitor = monitor
  }

  get kernel(): Kernel<S> {
    return this.#monitor.kernel
  }

  requestSample(): void {
    this.#monitor.requestSample(this)
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
  readonly #sockets: MonitoredSocket<S>[] = []
  /** The property of a socket that holds its `MonitoredSocket`. */
  readonly #mark = Symbol('tcp-sse.watched')
  #cancelTimer: (() => void) | undefined
  #timerAt = 0
  #lastTick = Number.NEGATIVE_INFINITY
  /** Those that the tick under way has still to look at, and when the next of the others is due. */
  #due: MonitoredSocket<S>[] = []
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
    return this.#sockets.length
  }

  /** All watchers, as of now: not to be kept over a turn of the event loop. */
  *watchers(): Generator<Watcher, void, undefined> {
    for (const watched of this.#sockets) yield* watched.watchers
  }

  /** Arms a socket by the watcher's plan and looks at it from now on. Of several plans for one socket the strictest rules. */
  watch(socket: S, watcher: Watcher, options: WatchOptions = {}): MonitoredSocket<S> {
    const now = this.#clock.now()
    const before = (socket as unknown as Marked<S>)[this.#mark]
    const watched = before ?? this.#take(socket, watcher, options, now)
    if (before !== undefined) {
      watched.add(watcher)
      this.#adoptPlan(watched)
    }
    watched.nextSample = Math.min(watched.nextSample, now + watched.plan.urgentPace)
    watched.deadline = 0
    this.#scheduleFor(watched)
    return watched
  }

  /** A socket that was not under watch. Its window may be shut already, so it is looked at before it is armed. */
  #take(socket: S, watcher: Watcher, options: WatchOptions, now: number): MonitoredSocket<S> {
    const { inheritedFrom } = options
    const { plan } = watcher
    const inherited = inheritedFrom !== undefined
    const saved: KernelSettings = inherited ? [['TCP_USER_TIMEOUT', inheritedFrom]] : []
    const loopTime = now - this.#blockedFor
    const watched = new MonitoredSocket(this, socket, plan, saved, now, loopTime)
    watched.add(watcher)
    watched.index = this.#sockets.length
    this.#sockets.push(watched)
    ;(socket as unknown as Marked<S>)[this.#mark] = watched
    this.kernel.sample([socket], table, [watched.current])
    if (table.get(watched.current, column.errno) === 0) {
      observe(table, undefined, watched.current, plan, now)
      watched.advance(watched.current)
    }
    if (!inherited) {
      watched.change([
        ...keepAliveOf(plan),
        ...watched.clockSettings(),
        ...watched.lowWaterSettings(),
      ])
      return watched
    }
    // Inherited options stay with the connection, the low-water mark too.
    if (plan.userTimeout !== false) watched.userTimeout = Math.ceil(plan.userTimeout)
    watched.retransmitMax = plan.retransmitMax || Number.NaN
    watched.notSentLowWater = watcher.notSentLowWater ?? Number.NaN
    watched.change(watched.clockSettings())
    return watched
  }

  /** Puts the strictest plan of the present watchers in force. */
  #adoptPlan(watched: MonitoredSocket<S>): void {
    const { strictest } = watched
    if (strictest === undefined || isSamePlan(strictest, watched.plan)) {
      watched.change(watched.lowWaterSettings())
      return
    }
    watched.plan = strictest
    if (watched.socket.destroyed) return
    watched.retransmitMax = Number.NaN
    // What the connection needs is known from the last look; the next one is soon.
    watched.change([
      ...watched.lowWaterSettings(),
      ...keepAliveOf(strictest),
      ...this.#withoutUserTimeout(watched),
      ...watched.clockSettings(),
    ])
    this.requestSample(watched)
  }

  /**
   * A plan that had a TCP_USER_TIMEOUT has left, and this one has none: nobody would switch it off behind a shut window, and it
   * would end a living client there.
   */
  #withoutUserTimeout(watched: MonitoredSocket<S>): KernelSettings {
    const before = watched.valueBefore('TCP_USER_TIMEOUT')
    if (watched.plan.userTimeout !== false || Number.isNaN(watched.userTimeout)) return []
    watched.userTimeout = Number.NaN
    return before === undefined ? [] : [['TCP_USER_TIMEOUT', before]]
  }

  /** @internal */
  release(watched: MonitoredSocket<S>, watcher: Watcher): void {
    if (!watched.remove(watcher)) return
    if (watched.count === 0) this.drop(watched)
    else this.#adoptPlan(watched)
  }

  /** @internal */
  drop(watched: MonitoredSocket<S>): void {
    if (!watched.held) return
    const last = this.#sockets.pop() as MonitoredSocket<S>
    if (last !== watched) {
      this.#sockets[watched.index] = last
      last.index = watched.index
    }
    ;(watched.socket as unknown as Marked<S>)[this.#mark] = undefined
    const { socket, saved } = watched
    if (saved.length > 0 && !socket.destroyed && watched.get(column.state) !== TCP_CLOSE) {
      this.kernel.set(socket, saved)
    }
    watched.freeRow()
    if (this.#sockets.length > 0) return
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
  requestSample(watched: MonitoredSocket<S>): void {
    watched.nextSample = 0
    watched.deadline = 0
    this.#scheduleFor(watched)
  }

  /** Without a pass over all, where the timer is early enough already. */
  #scheduleFor({ nextSample, plan }: MonitoredSocket<S>): void {
    this.#gap = Math.min(this.#gap, plan.urgentPace / 2)
    this.#next = Math.min(this.#next, nextSample)
    this.#setTimer(nextSample, this.#clock.now())
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
      this.#sample(some, now, horizon)
      this.#next = some.reduce(sooner, this.#next)
      seen += some.length
    }
    this.#due = this.#due.slice(seen)
    // The gap between ticks is for sharing looks, not for putting them off.
    const cut = this.#due.length > 0
    this.#lastTick = cut ? Number.NEGATIVE_INFINITY : now
    if (this.#sockets.length > 0) this.#setTimer(cut ? now : this.#next, this.#clock.now())
  }

  /** One pass over all sockets. */
  #findDue(now: number): void {
    const horizon = now + this.#gap / 2
    let pace = Number.POSITIVE_INFINITY
    this.#next = Number.POSITIVE_INFINITY
    for (const watched of this.#sockets) {
      pace = Math.min(pace, watched.plan.urgentPace)
      if (watched.nextSample <= horizon) this.#due.push(watched)
      else this.#next = sooner(this.#next, watched)
    }
    this.#gap = pace / 2
    this.kernel.begin?.(this.#due.length)
  }

  #sample(due: readonly MonitoredSocket<S>[], now: number, horizon: number): void {
    const loopTime = now - this.#blockedFor
    const some: MonitoredSocket<S>[] = []
    for (const watched of due) {
      // A watcher that was called earlier in this tick may have ended this one and begun another watch of the same socket.
      if (!watched.held) continue
      if (watched.socket.destroyed) this.#visitDestroyed(watched)
      else if (this.#isUnchanged(watched, horizon)) watched.skip(now, loopTime)
      else some.push(watched)
    }
    if (some.length === 0) return
    const { activities, moment } = this.#read(some, now)
    for (const [i, watched] of some.entries()) {
      isolated(() => {
        if (!examine(watched, activities[i] as number, moment)) return
        this.drop(watched)
        this.kernel.reset(watched.socket)
      })
    }
  }

  /**
   * Asks the kernel. Its ages mean something only beside the time at which it was asked, so a process that was interrupted
   * in between (by another process, or by SIGSTOP) asks again.
   */
  #read(
    some: readonly MonitoredSocket<S>[],
    since: number,
  ): { readonly activities: readonly number[]; readonly moment: Moment } {
    const sockets = some.map(({ socket }) => socket)
    const starts = some.map(({ spare }) => spare)
    let now = since
    for (let left = MOST_READS; ; left--) {
      // Before the reading: a later one shows what a watcher writes after it.
      const activities = sockets.map((socket) => this.kernel.activity(socket))
      this.kernel.sample(sockets, table, starts)
      const after = this.#clock.now()
      if (after - now <= CLOCK_TOLERANCE || left === 1)
        return { activities, moment: { now, loopTime: now - this.#blockedFor } }
      if (after - now > BLOCKED) this.#blockedFor += after - now
      now = after
    }
  }

  /** Whether a look would show what the last one showed: all was acknowledged, and nothing was written since. */
  #isUnchanged(
    { quiet, deadline, activity, socket }: MonitoredSocket<S>,
    horizon: number,
  ): boolean {
    return quiet && deadline > horizon && this.kernel.activity(socket) === activity
  }

  /**
   * Node tells of a socket's end, but not everybody: a response that waits behind another one hears nothing. Whoever still
   * watches at the second sight has heard nothing.
   */
  #visitDestroyed(watched: MonitoredSocket<S>): void {
    if (watched.seenDestroyed) {
      tellOfDestroyed(watched)
      this.drop(watched)
      return
    }
    watched.seenDestroyed = true
    watched.nextSample = 0
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
