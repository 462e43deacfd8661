// One socket under watch, from the monitor's side.
import type { Socket } from 'node:net'
import { TCP_CLOSE, TCP_CLOSE_WAIT, TCP_ESTABLISHED } from '../tcp/info.js'
import type { KernelOption, KernelSettings } from '../tcp/kernel-settings.js'
import type { Table } from '../tcp/record.js'
import { evidenceOf, evidenceWithoutKernel, type PeerEvidence } from './evidence.js'
import type { Kernel } from './kernel.js'
import { retransmitMaxFor, userTimeoutFor } from './kernel-clocks.js'
import { idleQuestions, observe } from './observe.js'
import { ANSWER_PACE, extraPathTime, retransmitAfter } from './path.js'
import type { MonitorPlan } from './plan.js'
import { column, isIdle, isWindowShut } from './reading.js'
import { Row, table } from './row.js'
import { deadAt, judge, silentFor, type Verdict } from './verdict.js'
import type { Watchable, Watcher } from './watch.js'
import { Watchers } from './watchers.js'

/** A socket and what is remembered of it. */
export abstract class SocketState<S extends Watchable = Socket> extends Row {
  abstract readonly kernel: Kernel<S>
  readonly socket: S
  /** The strictest of its watchers'. */
  plan: MonitorPlan
  /** One or several: nearly every socket has one, which needs no set. */
  #watchers: Watcher | Watchers | undefined
  /** What was in force before the watch, of the options that it has set. */
  saved: KernelSettings
  verdict: Verdict = 'alive'
  /** Its place in the monitor's list. */
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
    // What happened before the watch, during earlier responses on the connection, is not known.
    this.windowClearAt = Number.NEGATIVE_INFINITY
    this.lossClearAt = Number.NEGATIVE_INFINITY
  }

  /** The number in a column of the latest reading. */
  get(of: number): number {
    return table.get(this.current, of)
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
  get strictest(): MonitorPlan | undefined {
    return this.#watchers?.plan
  }

  /** The lowest low-water mark that a watcher asks for. */
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

  evidence(silence = this.silentFor() ?? 0): PeerEvidence {
    if (!this.observed) return evidenceWithoutKernel(this.verdict)
    return evidenceOf(this.verdict, silence, table, this.current)
  }

  /**
   * Judges one more sample beside the latest one, and keeps neither it nor the verdict.
   *
   * @param sample - writes a record into the table and says whether there was one to write
   * @returns `undefined` where there was none
   */
  judgeAgain(sample: (table: Table, start: number) => boolean, now: number): Verdict | undefined {
    const { current, spare, plan } = this
    if (!sample(table, spare)) return undefined
    const previous = this.observed ? current : undefined
    observe(table, previous, spare, plan, now)
    return previous === undefined ? 'dead' : judge(table, previous, spare, plan, now)
  }

  /** Takes over the reading that has been observed in `spare`, or at the first sample in `current`. */
  advance(reading: number): void {
    if (reading === this.spare) this.swap()
    this.quiet = isQuiet(this)
    noteClear(this, this.get(column.at))
  }

  /** What a sample would have noted, without it: nothing was written since the last one, and that one was quiet. */
  skip(now: number, loopTime: number): void {
    this.progressAt = loopTime
    noteClear(this, now)
    this.nextSample = Math.min(now + this.plan.checkPace, this.deadline)
    this.align(now)
  }

  /** Lets the kernel choose a better time near the next sample's, or before it. */
  align(now: number): void {
    const at = this.kernel.align?.(this.nextSample, now)
    if (at !== undefined) this.nextSample = at
  }

  /** Whether the kernel has ended the connection, or the peer has and nobody lets it read on. */
  get ended(): boolean {
    const state = this.get(column.state)
    if (state === TCP_CLOSE) return true
    if (state !== TCP_CLOSE_WAIT) return false
    return this.watchers.some((watcher) => watcher.mayHalfClose?.() !== true)
  }

  /** Sets options with one native call. What was in force before one is set for the first time is remembered. */
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

  /** The value of an option before the watch has set it. */
  valueBefore(option: KernelOption): number | undefined {
    return this.saved.find(([saved]) => saved === option)?.[1]
  }

  /** TCP_USER_TIMEOUT and TCP_RTO_MAX_MS, as far as they should be others than are in force: to be set. */
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

  /** The lowest TCP_NOTSENT_LOWAT that a watcher asks for; where none does, what was there before: to be set. */
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

// Functions, because a private method costs each instance a field.

function noteClear(watched: SocketState<Watchable>, at: number): void {
  if (watched.get(column.windowLimited) === 0) watched.windowClearAt = at
  if (watched.get(column.totalRetransmits) === 0) watched.lossClearAt = at
}

/** Whether nothing is outstanding: without a write only keepalive can change that. */
function isQuiet(watched: SocketState<Watchable>): boolean {
  const outstanding =
    watched.get(column.unackedSegments) +
    watched.get(column.unsent) +
    watched.get(column.retransmits) +
    watched.get(column.probes)
  return watched.get(column.state) === TCP_ESTABLISHED && outstanding === 0
}

/**
 * Milliseconds until the next sample: soon while something waits or goes unanswered, and right when the peer would be
 * dead.
 */
export function paceOf({ current, plan }: SocketState<Watchable>): number {
  const told = (of: number): number => table.get(current, of)
  const probing = told(column.probes) > 0 && isIdle(table, current)
  const urgentPace = probing ? Math.min(plan.urgentPace, plan.probePace) : plan.urgentPace
  const silence = told(column.at) - told(column.answeredAt)
  if (told(column.asked) > 0 && !(silence < retransmitAfter(table, current))) {
    const left = deadAt(table, current, plan) - told(column.at)
    return Math.min(urgentPace, Math.max(1, left))
  }
  const waits = told(column.unsent) + told(column.retransmits) + told(column.probes) > 0
  return waits || isWindowShut(table, current) ? urgentPace : plan.pace
}

/**
 * The latest time of the next sample at a socket on which nothing is written meanwhile. Keepalive asks its peer, and the age of
 * the last answer tells since when it has been silent, however late the sample.
 */
export function quietUntil({ current, plan }: SocketState<Watchable>): number {
  const at = table.get(current, column.at)
  if (plan.keepAlive === false) return at + plan.quietPace
  // The plan has the time that an answer takes on a short path.
  const longest = quietFor(current, plan) - extraPathTime(table, current)
  return Math.max(at + plan.urgentPace, table.get(current, column.answeredAt) + longest)
}

/**
 * How old the last answer of an idle peer may be at a sample, so that it can be asked as often as its path needs: by keepalive
 * before this sample, and by the monitor, which asks more often, after it.
 */
function quietFor(current: number, plan: MonitorPlan): number {
  const { keepAlive, quietPace, probePace } = plan
  if (keepAlive === false) return quietPace
  const step = Math.max(ANSWER_PACE, probePace)
  const spare =
    quietPace / step - keepAlive.idle / keepAlive.interval - idleQuestions(table, current, plan)
  const slower = 1 / step - 1 / keepAlive.interval
  const latest = slower > 0 ? spare / slower : quietPace
  return Math.min(quietPace, Math.max(keepAlive.idle + probePace, latest))
}

/** A watched that has just been dropped has no next sample any more: NaN, which is never less. */
export function sooner(next: number, { nextSample }: SocketState<Watchable>): number {
  return nextSample < next ? nextSample : next
}
