// Sets several options of a socket in the kernel's units, and returns the previous values: the connection may be used
// by other code afterwards.
import type { Server, Socket } from 'node:net'
import {
  addon,
  changeKernelOptions,
  isPipe,
  type KernelOption,
  nodeSetsProbes,
} from '../native/binding.js'

export type { KernelOption }

/** Kernel options and their values, in the order in which they are set. */
export type KernelSettings = readonly (readonly [option: KernelOption, value: number])[]

/** Sets options with one native call. Does nothing if the socket is gone. */
export function setOptions(socket: Socket | Server, settings: KernelSettings): void {
  changeKernelOptions(socket, settings, false)
}

/**
 * Sets options with one native call. Without the addon, only keepalive is set, by Node.
 *
 * @returns the previous values, for `setOptions`; without options that this system or this kind of socket does not have
 */
export function exchangeOptions(socket: Socket | Server, settings: KernelSettings): KernelSettings {
  if (addon === undefined) {
    if ('setKeepAlive' in socket) setKeepAliveWithoutAddon(socket, settings)
    return []
  }
  const outcomes = changeKernelOptions(socket, settings, true)
  const saved: KernelSettings[number][] = []
  for (const [index, [option]] of settings.entries()) {
    const before = outcomes[index * 3 + 2] ?? -1
    if (before >= 0) saved.push([option, before])
  }
  // Nearly all connections start with the same values, so thousands of them share one list.
  const isSame = ([option, value]: KernelSettings[number], index: number): boolean =>
    last[index]?.[0] === option && last[index]?.[1] === value
  if (saved.length !== last.length || !saved.every(isSame)) last = saved
  return last
}

let last: KernelSettings = []

/** Node's signature of `setKeepAlive` since version 24, which its types do not have yet. */
type SetKeepAlive = (enable: boolean, idle?: number, interval?: number, count?: number) => Socket

/**
 * Sets keepalive through Node alone.
 *
 * @returns what could not be set, and why; `undefined` if everything was set
 */
export function setKeepAliveWithoutAddon(
  socket: Socket,
  settings: KernelSettings,
): string | undefined {
  // Node's setter silently does nothing for a pipe.
  if (isPipe(socket)) return 'not a TCP socket'
  const given = (option: KernelOption): number | undefined =>
    settings.find(([each]) => each === option)?.[1]
  const enabled = given('SO_KEEPALIVE')
  if (enabled === undefined) return undefined
  const [idle, interval] = [given('TCP_KEEPIDLE'), given('TCP_KEEPINTVL')].map(
    (seconds = 0) => seconds * 1000,
  )
  const set = socket.setKeepAlive as SetKeepAlive
  set.call(socket, enabled === 1, idle, interval, given('TCP_KEEPCNT'))
  return enabled === 0 || nodeSetsProbes
    ? undefined
    : 'only idle is set: interval and count need the addon or Node 24'
}
