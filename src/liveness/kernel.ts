// What the monitor needs of sockets, and no more: a fake of this is all that its unit tests need.
import type { Socket } from 'node:net'
import {
  addon,
  getKernelOption,
  libuvQueueOf,
  resetConnection,
  setKernelOption,
} from '../socket/binding.js'
import { column, sweep } from '../socket/inspect.js'
import { applySocketOptions } from '../socket/options.js'
import type { LivenessPlan } from './plan.js'
import { type Look, readLook } from './verdict.js'

/** The monitor's view of the system. */
export interface Kernel {
  /** One look at each, with one native call; `undefined` where the kernel tells nothing. */
  look(sockets: readonly Socket[]): (Look | undefined)[]
  /** Sets what the plan says. Returns the TCP_USER_TIMEOUT that was in force, for `setUserTimeout` at the end. */
  arm(socket: Socket, plan: LivenessPlan): number
  setUserTimeout(socket: Socket, milliseconds: number): void
  /** Ends the connection with RST. */
  reset(socket: Socket): void
  /** Bytes that Node and libuv hold because the kernel takes no more. */
  pending(socket: Socket): number
}

/** The real one. */
export const systemKernel: Kernel = {
  look(sockets) {
    if (addon === undefined) return []
    const rows = sweep(sockets)
    return sockets.map((_, index) =>
      rows.numbers[index * rows.width + column.errno] === 0 ? readLook(rows, index) : undefined,
    )
  },

  arm(socket, { keepAlive, userTimeout, retransmitMax }) {
    const before = Math.max(0, getKernelOption(socket, 'TCP_USER_TIMEOUT'))
    applySocketOptions(socket, {
      keepAlive,
      userTimeout,
      retransmitMax: retransmitMax === false ? undefined : retransmitMax,
    })
    return before
  },

  setUserTimeout(socket, milliseconds) {
    setKernelOption(socket, 'TCP_USER_TIMEOUT', milliseconds)
  },

  reset: resetConnection,

  pending: (socket) => Math.max(socket.writableLength, libuvQueueOf(socket)),
}
