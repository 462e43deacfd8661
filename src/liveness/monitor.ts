// Monitors all sockets of the process with one timer and one native call per tick.
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

/** How long samples may block the event loop, ms. With thousands of sockets, the rest follows a turn later. */
const BUDGET = 1
/** The number of sockets that one native call samples. */
const AT_ONCE = 64
/** The number of times that a sample is taken at most, if the process is interrupted. */
const MOST_READS = 3
/** If a tick is later than this, ms, the event loop was blocked. */
const BLOCKED = 50

/** A socket with the marks of monitors. */
interface Marked<S extends Watchable> {
  [mark: symbol]: MonitoredSocket<S> | undefined
}

/** A monitored socket, as its watchers see it. */
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

/** Watches sockets. Its cost is proportional to their number; without sockets, no timer runs. */
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
  /** The sockets that this tick has still to sample, and the time at which the next of the others is due. */
  #due: MonitoredSocket<S>[] = []
  #next = Number.POSITIVE_INFINITY
  /** The shortest time between two ticks. */
  #gap = Number.POSITIVE_INFINITY
  /** The total time for which the event loop was blocked when a tick was due, ms. */
  #blockedFor = 0

  constructor(clock: Clock, kernel: Kernel<S>) {
    this.#clock = clock
    this.kernel = kernel
  }

  /** The number of watched sockets. */
  get size(): number {
    return this.#sockets.length
  }

  /** All current watchers. Do not keep the iterator across turns of the event loop. */
  *watchers(): Generator<Watcher, void, undefined> {
    for (const watched of this.#sockets) yield* watched.watchers
  }

  /**
   * Sets a socket's options by the watcher's plan and samples it from now on. If it has several, the strictest applies.
   */
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

  /** Takes a socket that was not watched. It is sampled first, because its window may already be closed. */
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
    // Inherited options stay with the connection, including the low-water mark.
    if (plan.userTimeout !== false) watched.userTimeout = Math.ceil(plan.userTimeout)
    watched.retransmitMax = plan.retransmitMax || Number.NaN
    watched.notSentLowWater = watcher.notSentLowWater ?? Number.NaN
    watched.change(watched.clockSettings())
    return watched
  }

  /** Applies the strictest plan of the current watchers. */
  #adoptPlan(watched: MonitoredSocket<S>): void {
    const { strictest } = watched
    if (strictest === undefined || isSamePlan(strictest, watched.plan)) {
      watched.change(watched.lowWaterSettings())
      return
    }
    watched.plan = strictest
    if (watched.socket.destroyed) return
    watched.retransmitMax = Number.NaN
    // The last sample shows what the connection needs; the next one follows soon.
    watched.change([
      ...watched.lowWaterSettings(),
      ...keepAliveOf(strictest),
      ...this.#withoutUserTimeout(watched),
      ...watched.clockSettings(),
    ])
    this.requestSample(watched)
  }

  /**
   * Returns the setting that removes a previous plan's TCP_USER_TIMEOUT if the new plan has none. Otherwise it would
   * stay in force behind a closed window and end a living client.
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
   * Schedules the next tick for when the next sample is due, but no sooner than a part of the smallest pace after the
   * last tick. Samples that are due close together therefore share a tick, and are early or late by at most half of
   * that part.
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

  /** Schedules one socket. Needs no pass over all sockets if the timer is early enough. */
  #scheduleFor({ nextSample, plan }: MonitoredSocket<S>): void {
    this.#gap = Math.min(this.#gap, plan.urgentPace / 2)
    this.#next = Math.min(this.#next, nextSample)
    this.#setTimer(nextSample, this.#clock.now())
  }

  /** Samples the sockets that are due, as many as the budget allows; the rest in the next turn. */
  #tick(): void {
    const startedAt = this.#clock.now()
    const late = startedAt - this.#timerAt
    if (late > BLOCKED) this.#blockedFor += late
    if (this.#due.length === 0) this.#findDue(startedAt)
    // Read the clock again: a dump of thousands of connections takes longer than the tolerance between clocks.
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
    // The gap between ticks lets samples share a tick. It must not delay those that are due.
    const cut = this.#due.length > 0
    this.#lastTick = cut ? Number.NEGATIVE_INFINITY : now
    if (this.#sockets.length > 0) this.#setTimer(cut ? now : this.#next, this.#clock.now())
  }

  /** Finds the sockets that are due, in one pass over all. */
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
      // An earlier watcher in this tick may have ended this watch and begun another one of the same socket.
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
   * Reads the sockets. The kernel's ages are meaningful only together with the time of the read, so a process that was
   * interrupted in between (by another process, or by SIGSTOP) reads again.
   */
  #read(
    some: readonly MonitoredSocket<S>[],
    since: number,
  ): { readonly activities: readonly number[]; readonly moment: Moment } {
    const sockets = some.map(({ socket }) => socket)
    const starts = some.map(({ spare }) => spare)
    let now = since
    for (let left = MOST_READS; ; left--) {
      // Read the activity before the sample, so that a write between the two shows at the next one.
      const activities = sockets.map((socket) => this.kernel.activity(socket))
      this.kernel.sample(sockets, table, starts)
      // Before a watcher writes: what was passed to the kernel and what it holds belong together.
      for (const watched of some)
        watched.handed = this.kernel.handed?.(watched.socket) ?? Number.NaN
      const after = this.#clock.now()
      if (after - now <= CLOCK_TOLERANCE || left === 1)
        return { activities, moment: { now, loopTime: now - this.#blockedFor } }
      if (after - now > BLOCKED) this.#blockedFor += after - now
      now = after
    }
  }

  /** Whether a sample would show the same as the last one: all was acknowledged, and nothing was written since. */
  #isUnchanged(
    { quiet, deadline, activity, socket }: MonitoredSocket<S>,
    horizon: number,
  ): boolean {
    return quiet && deadline > horizon && this.kernel.activity(socket) === activity
  }

  /**
   * Handles a destroyed socket. Node does not report its end to every watcher: a response that waits behind another one
   * gets no event. A watcher that is still there at the second visit has not learned of the end.
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

/** The keepalive settings of a plan. They are computed once for each plan, because thousands of streams share one. */
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

/** The monitor of this copy of the library. */
export const sharedMonitor = new Monitor(systemClock, systemKernel)
