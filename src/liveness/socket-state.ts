// The monitor's state of one socket.
import type { Socket } from 'node:net'
import { TCP_CLOSE, TCP_CLOSE_WAIT, TCP_ESTABLISHED } from '../tcp/info.js'
import type { KernelOption, KernelSettings } from '../tcp/kernel-settings.js'
import type { Table } from '../tcp/record.js'
import { evidenceOf, evidenceWithoutKernel, type PeerEvidence } from './evidence.js'
import type { Kernel } from './kernel.js'
import { retransmitMaxFor, userTimeoutFor } from './kernel-clocks.js'
import { observe } from './observe.js'
import { ANSWER_PACE, extraPathTime, retransmitAfter } from './path.js'
import type { MonitorPlan } from './plan.js'
import { column, isIdle, isWindowShut } from './reading.js'
import { Row, table } from './row.js'
import { deadAt, judge, silentFor, type Verdict } from './verdict.js'
import type { Watchable, Watcher } from './watch.js'
import { Watchers } from './watchers.js'

/** A socket and what the monitor keeps about it. */
export abstract class SocketState<S extends Watchable = Socket> extends Row {
  abstract readonly kernel: Kernel<S>
  readonly socket: S
  /** The strictest plan of its watchers. */
  plan: MonitorPlan
  /** One watcher or several. Nearly every socket has one, which needs no set. */
  #watchers: Watcher | Watchers | undefined
  /** The previous values of the options that the watch has set. */
  saved: KernelSettings
  verdict: Verdict = 'alive'
  /** Its index in the monitor's list. */
  index = -1

  constructor(socket: S, plan: MonitorPlan, saved: KernelSettings, now: number, loopTime: number) {
    super()
    this.socket = socket
    this.plan = plan
    this.saved = saved
    this.nextSample = now + plan.urgentPace
    this.progressAt = loopTime
    this.progress = 0
    this.deadline = 0
    this.silenceBeforeClose = 0
    this.probedAt = Number.NEGATIVE_INFINITY
    // What happened before the watch, during earlier responses on the connection, is unknown.
    this.windowClearAt = Number.NEGATIVE_INFINITY
    this.lossClearAt = Number.NEGATIVE_INFINITY
  }

  /** The number in a column of the latest reading. */
  get(of: number): number {
    return table.get(this.current, of)
  }

  /** The current watchers. */
  get watchers(): readonly Watcher[] {
    const all = this.#watchers
    if (all instanceof Watchers) return all.list()
    return all === undefined ? [] : [all]
  }

  /** The number of watchers. */
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

  /** The lowest low-water mark that a watcher requests. */
  get lowWater(): number | undefined {
    const all = this.#watchers
    return all instanceof Watchers ? all.lowWater : all?.notSentLowWater
  }

  get unanswered(): boolean {
    return this.get(column.asked) >= 2
  }

  silentFor(now?: number): number | undefined {
    return this.observed ? silentFor(table, this.current, now) : undefined
  }

  sentAgo(now: number): number {
    return this.get(column.at) === now ? this.get(column.lastDataSent) : Number.NaN
  }

  get acknowledged(): number {
    // A connection that the kernel has ended has no queue.
    if (this.get(column.state) === TCP_CLOSE) return Number.NaN
    return this.handed - this.get(column.outq)
  }

  evidence(silence = this.silentFor() ?? 0): PeerEvidence {
    if (!this.observed) return evidenceWithoutKernel(this.verdict)
    return evidenceOf(this.verdict, silence, table, this.current)
  }

  /**
   * Judges one more sample against the latest one. Keeps neither the sample nor the verdict.
   *
   * @param sample - writes a record into the table; returns whether there was one
   * @returns `undefined` if there was no record
   */
  judgeAgain(sample: (table: Table, start: number) => boolean, now: number): Verdict | undefined {
    const { current, spare, plan } = this
    if (!sample(table, spare)) return undefined
    const previous = this.observed ? current : undefined
    observe(table, previous, spare, plan, now)
    return previous === undefined ? 'dead' : judge(table, previous, spare, plan, now)
  }

  /** Makes a reading the latest one. It has been observed in `spare`, or in `current` at the first sample. */
  advance(reading: number): void {
    if (reading === this.spare) this.swap()
    this.quiet = isQuiet(this)
    noteClear(this, this.get(column.at))
  }

  /**
   * Updates the state as a sample would, without one: nothing was written since the last sample, and that one was
   * quiet.
   */
  skip(now: number, loopTime: number): void {
    this.progressAt = loopTime
    noteClear(this, now)
    this.nextSample = Math.min(now + this.plan.checkPace, this.deadline)
    this.align(now)
  }

  /** Lets the kernel choose a better time near that of the next sample, or before it. */
  align(now: number): void {
    const at = this.kernel.align?.(this.nextSample, now)
    if (at !== undefined) this.nextSample = at
  }

  /**
   * Whether the kernel has ended the connection, or the peer has and not all watchers accept a half-closed connection.
   */
  get ended(): boolean {
    const state = this.get(column.state)
    if (state === TCP_CLOSE) return true
    if (state !== TCP_CLOSE_WAIT) return false
    return this.watchers.some((watcher) => watcher.mayHalfClose?.() !== true)
  }

  /** Sets options with one native call. Saves the previous value of an option that is set for the first time. */
  change(settings: KernelSettings): void {
    if (settings.length === 0 || this.socket.destroyed) return
    if (this.saved.length === 0) {
      this.saved = this.kernel.exchange(this.socket, settings)
      return
    }
    const isNew = ([option]: KernelSettings[number]): boolean =>
      this.valueBefore(option) === undefined
    const known = settings.filter((each) => !isNew(each))
    if (known.length > 0) this.kernel.set(this.socket, known)
    if (known.length === settings.length) return
    const before = this.kernel.exchange(this.socket, settings.filter(isNew))
    this.saved = [...this.saved, ...before]
  }

  /** The value of an option before the watch set it. */
  valueBefore(option: KernelOption): number | undefined {
    return this.saved.find(([saved]) => saved === option)?.[1]
  }

  /** The settings of TCP_USER_TIMEOUT and TCP_RTO_MAX_MS that must change. */
  clockSettings(): KernelSettings {
    const { plan, userTimeout, retransmitMax, current } = this
    const settings: KernelSettings[number][] = []
    if (plan.userTimeout !== false && this.observed) {
      const at = this.get(column.at)
      const wanted = userTimeoutFor(table, current, this, plan, at, userTimeout)
      if (wanted !== userTimeout) settings.push(['TCP_USER_TIMEOUT', wanted])
      this.userTimeout = wanted
    }
    if (plan.retransmitMax !== false) {
      const wanted = this.observed
        ? retransmitMaxFor(table, current, plan, retransmitMax)
        : plan.retransmitMax
      if (wanted !== retransmitMax) settings.push(['TCP_RTO_MAX_MS', wanted])
      this.retransmitMax = wanted
    }
    return settings
  }

  /**
   * The setting of TCP_NOTSENT_LOWAT, if it must change: the lowest that a watcher requests, or else the previous
   * value.
   */
  lowWaterSettings(): KernelSettings {
    const wanted = this.lowWater ?? this.valueBefore('TCP_NOTSENT_LOWAT')
    if (wanted === undefined || wanted === this.notSentLowWater) return []
    this.notSentLowWater = wanted
    return [['TCP_NOTSENT_LOWAT', wanted]]
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

  /** Returns whether the watcher was present. */
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

// These are functions, because a private method costs each instance a field.

function noteClear(watched: SocketState<Watchable>, at: number): void {
  if (watched.get(column.windowLimited) === 0) watched.windowClearAt = at
  if (watched.get(column.totalRetransmits) === 0) watched.lossClearAt = at
}

/** Whether nothing is outstanding. Without a write, only keepalive can change that. */
function isQuiet(watched: SocketState<Watchable>): boolean {
  const outstanding =
    watched.get(column.unackedSegments) +
    watched.get(column.unsent) +
    watched.get(column.retransmits) +
    watched.get(column.probes)
  return watched.get(column.state) === TCP_ESTABLISHED && outstanding === 0
}

/**
 * Milliseconds until the next sample: soon while something waits or is unanswered, and exactly when the peer would be
 * dead.
 */
export function paceOf({ current, plan }: SocketState<Watchable>, now: number): number {
  const told = (of: number): number => table.get(current, of)
  const probing = told(column.probes) > 0 && isIdle(table, current)
  const urgentPace = probing ? Math.min(plan.urgentPace, plan.probePace) : plan.urgentPace
  const silence = told(column.at) - told(column.answeredAt)
  if (told(column.asked) > 0 && !(silence < retransmitAfter(table, current))) {
    const left = deadAt(table, current, plan) - now
    return Math.min(urgentPace, Math.max(1, left))
  }
  const waits = told(column.unsent) + told(column.retransmits) + told(column.probes) > 0
  return waits || isWindowShut(table, current) ? urgentPace : plan.pace
}

/**
 * The latest time of the next sample of a socket on which nothing is written. Keepalive probes its peer, and the age of
 * the last answer shows since when the peer has been silent, however late the sample is.
 */
export function quietUntil({ current, plan }: SocketState<Watchable>): number {
  const at = table.get(current, column.at)
  if (plan.keepAlive === false) return at + plan.quietPace
  // The plan includes the time of an answer on a short path.
  const longest = quietFor(current, plan) - extraPathTime(table, current)
  return Math.max(at + plan.urgentPace, table.get(current, column.answeredAt) + longest)
}

/**
 * How old the last answer of an idle peer may be at a sample. The peer must be asked as often as its path needs: by
 * keepalive before this sample, and more often by the monitor after it.
 */
function quietFor(current: number, plan: MonitorPlan): number {
  const { keepAlive, quietPace, probePace } = plan
  if (keepAlive === false) return quietPace
  const step = Math.max(ANSWER_PACE, probePace)
  const needed = table.get(current, column.needed)
  const spare = quietPace / step - keepAlive.idle / keepAlive.interval - needed
  const slower = 1 / step - 1 / keepAlive.interval
  const latest = slower > 0 ? spare / slower : quietPace
  return Math.min(quietPace, Math.max(keepAlive.idle + probePace, latest))
}

/** The earlier of two times. A socket that has just been dropped has NaN, which is never less. */
export function sooner(next: number, { nextSample }: SocketState<Watchable>): number {
  return nextSample < next ? nextSample : next
}
