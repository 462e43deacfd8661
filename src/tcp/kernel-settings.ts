// Several options of a socket at once, as the kernel has them, and what they were before: a connection may serve others after us.
import type { Server, Socket } from 'node:net'
import {
  addon,
  changeKernelOptions,
  isPipe,
  type KernelOption,
  nodeSetsProbes,
} from '../native/binding.js'

export type { KernelOption }

/** Kernel options with values, in the order in which they are set. */
export type KernelSettings = readonly (readonly [option: KernelOption, value: number])[]

/** Sets options with one native call. A socket that is gone has taken them with it. */
export function setOptions(socket: Socket | Server, settings: KernelSettings): void {
  changeKernelOptions(socket, settings, false)
}

/**
 * Sets options with one native call. Without the addon only keepalive is set, in Node's way.
 *
 * @returns what was in force before, for `setOptions`. Those that this system or this kind of socket has not are left out.
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
  // Nearly all connections begin alike: thousands of them can share one list.
  const isSame = ([option, value]: KernelSettings[number], index: number): boolean =>
    last[index]?.[0] === option && last[index]?.[1] === value
  if (saved.length !== last.length || !saved.every(isSame)) last = saved
  return last
}

let last: KernelSettings = []

/** What Node's types do not have yet. */
type SetKeepAlive = (enable: boolean, idle?: number, interval?: number, count?: number) => Socket

/**
 * Keepalive by Node alone.
 *
 * @returns why not all of it could be set; `undefined` where it could
 */
export function setKeepAliveWithoutAddon(
  socket: Socket,
  settings: KernelSettings,
): string | undefined {
  // Node's own setter does nothing there, and says nothing.
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
    : 'only idle: interval and count need the addon or a newer Node'
}
