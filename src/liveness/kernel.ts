// What the monitor needs of sockets. Its unit tests replace only this.
import type { Socket } from 'node:net'
import {
  activityOf,
  handedOf,
  libuvQueueOf,
  progressOf,
  resetConnection,
} from '../native/binding.js'
import { exchangeOptions, type KernelSettings, setOptions } from '../tcp/kernel-settings.js'
import { readInto, type Table } from '../tcp/record.js'
import type { Watchable } from './watch.js'

/** The monitor's interface to the system. */
export interface Kernel<S extends Watchable = Socket> {
  /**
   * Called before each tick with the number of sockets that are due, so that the kernel can choose between one dump and
   * single reads.
   */
  begin?(due: number): void
  /**
   * Called when a sample is scheduled. Returns a time near it, or before it, that suits the kernel better. Samples with
   * the same time share a tick.
   */
  align?(at: number, now: number): number
  /**
   * Samples each socket with one native call. Writes each record at its index in `starts`: the columns of `COLUMNS`,
   * with an `errno` of 0 if the kernel has reported data.
   */
  sample(sockets: readonly S[], table: Table, starts: readonly number[]): void
  /** The time of the latest sample of a socket, if it is not the time of the tick. */
  sampledAt?(socket: S): number
  /**
   * Sets options and returns the previous values, which are restored at the end. Options that do not exist are omitted.
   */
  exchange(socket: S, settings: KernelSettings): KernelSettings
  /** Sets options. */
  set(socket: S, settings: KernelSettings): void
  /** Ends the connection with RST. */
  reset(socket: S): void
  /** Bytes that Node and libuv hold because the kernel does not accept more. */
  pending(socket: S): number
  /** A number that grows with the bytes that the kernel has accepted. */
  progress(socket: S): number
  /** Bytes passed to the kernel so far, among which the peer acknowledges; NaN if they are not known. */
  handed?(socket: S): number
  /** A number that every write changes; NaN if a socket must be sampled even without a write. */
  activity(socket: S): number
}

/** The kernel of the system. */
export const systemKernel: Kernel = {
  sample: (sockets, table, starts) => readInto(table, starts, sockets),
  exchange: exchangeOptions,
  set: setOptions,
  reset: resetConnection,
  pending: (socket) => Math.max(socket.writableLength, libuvQueueOf(socket)),
  progress: progressOf,
  handed: handedOf,
  activity: activityOf,
}
