// What the monitor needs of sockets, and no more: a fake of this is all that its unit tests need.
import type { Socket } from 'node:net'
import {
  activityOf,
  addon,
  getKernelOption,
  type KernelOption,
  libuvQueueOf,
  progressOf,
  resetConnection,
  setKernelOption,
} from '../native/binding.js'
import { column, sweep } from '../tcp/info.js'
import { applySocketOptions, type KernelSettings } from '../tcp/options.js'
import { restoreOptions, saveOptions } from '../tcp/saved-options.js'
import type { Sight } from './observation.js'
import type { MonitorPlan } from './plan.js'
import type { Watchable } from './watch.js'

/** The monitor's view of the system. */
export interface Kernel<S extends Watchable = Socket> {
  /** Told before each tick how many are due: whether one look at all would be cheaper than many at single ones. */
  begin?(due: number): void
  /**
   * Asked when a look is set for a time: what time near it, or before it, suits the kernel better. Looks that share a time
   * share a tick.
   */
  align?(at: number, now: number): number
  /**
   * One look at each socket, with one native call, read into the sights of the same index.
   *
   * @returns whether the kernel told something, by index
   */
  look(sockets: readonly S[], into: readonly Sight[]): readonly boolean[]
  /** What is in force of all that the monitor may change: a later watcher's plan can have more than the first's. */
  save(socket: S): KernelSettings
  /** Sets what the plan says, all but TCP_USER_TIMEOUT. */
  arm(socket: S, plan: MonitorPlan): void
  setUserTimeout(socket: S, milliseconds: number): void
  setRetransmitMax(socket: S, milliseconds: number): void
  /** Sends a keepalive probe now, to a peer that has left one unanswered. */
  probe(socket: S, plan: MonitorPlan): void
  restore(socket: S, saved: KernelSettings): void
  /** TCP_NOTSENT_LOWAT, bytes; negative where there is none. */
  notSentLowWater(socket: S): number
  setNotSentLowWater(socket: S, bytes: number): void
  /** Ends the connection with RST. */
  reset(socket: S): void
  /** Bytes that Node and libuv hold because the kernel takes no more. */
  pending(socket: S): number
  /** A number that grows with the bytes that the kernel has taken. */
  progress(socket: S): number
  /** A number that every write changes; NaN where a socket must be looked at whatever has been written. */
  activity(socket: S): number
}

const CHANGED: readonly KernelOption[] = [
  'SO_KEEPALIVE',
  'TCP_KEEPIDLE',
  'TCP_KEEPINTVL',
  'TCP_KEEPCNT',
  'TCP_RTO_MAX_MS',
  'TCP_USER_TIMEOUT',
]

/** The real one. */
export const systemKernel: Kernel = {
  look(sockets, into) {
    if (addon === undefined) return []
    const rows = sweep(sockets)
    return sockets.map((_, index) => {
      if (rows.numbers[index * rows.width + column.errno] !== 0) return false
      ;(into[index] as Sight).read(rows, index)
      return true
    })
  },

  save: (socket) => saveOptions(socket, CHANGED),

  arm(socket, { keepAlive, retransmitMax }) {
    applySocketOptions(socket, {
      keepAlive: keepAlive === false ? undefined : keepAlive,
      retransmitMax: retransmitMax === false ? undefined : retransmitMax,
    })
  },

  setUserTimeout(socket, milliseconds) {
    setKernelOption(socket, 'TCP_USER_TIMEOUT', milliseconds)
  },

  setRetransmitMax(socket, milliseconds) {
    setKernelOption(socket, 'TCP_RTO_MAX_MS', milliseconds)
  },

  // Setting the idle time starts the timer anew; it fires at once where the connection has been idle for longer
  // (tcp_sock_set_keepidle_locked, since Linux 2.4).
  probe(socket, { keepAlive }) {
    if (keepAlive === false) return
    setKernelOption(socket, 'TCP_KEEPIDLE', Math.ceil(keepAlive.idle / 1_000))
  },

  restore: restoreOptions,

  notSentLowWater: (socket) => getKernelOption(socket, 'TCP_NOTSENT_LOWAT'),

  setNotSentLowWater(socket, bytes) {
    setKernelOption(socket, 'TCP_NOTSENT_LOWAT', bytes)
  },

  reset: resetConnection,

  pending: (socket) => Math.max(socket.writableLength, libuvQueueOf(socket)),

  progress: progressOf,

  activity: activityOf,
}
