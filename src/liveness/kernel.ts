// What the monitor needs of sockets, and no more: a fake of this is all that its unit tests need.
import type { Socket } from 'node:net'
import { activityOf, libuvQueueOf, progressOf, resetConnection } from '../native/binding.js'
import { exchangeOptions, type KernelSettings, setOptions } from '../tcp/kernel-settings.js'
import { readInto, type Table } from '../tcp/record.js'
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
   * One look at each socket, with one native call, each written where `starts` says: the columns of `COLUMNS`, with an
   * `errno` of 0 where the kernel has told something.
   */
  sample(sockets: readonly S[], table: Table, starts: readonly number[]): void
  /** Sets options, and returns what was in force before: to be set again at the end. Those that do not exist are left out. */
  exchange(socket: S, settings: KernelSettings): KernelSettings
  /** Sets options. */
  set(socket: S, settings: KernelSettings): void
  /** Ends the connection with RST. */
  reset(socket: S): void
  /** Bytes that Node and libuv hold because the kernel takes no more. */
  pending(socket: S): number
  /** A number that grows with the bytes that the kernel has taken. */
  progress(socket: S): number
  /** A number that every write changes; NaN where a socket must be looked at whatever has been written. */
  activity(socket: S): number
}

/** The real one. */
export const systemKernel: Kernel = {
  sample: (sockets, table, starts) => readInto(table, starts, sockets),
  exchange: exchangeOptions,
  set: setOptions,
  reset: resetConnection,
  pending: (socket) => Math.max(socket.writableLength, libuvQueueOf(socket)),
  progress: progressOf,
  activity: activityOf,
}
