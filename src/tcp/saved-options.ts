// What a connection's options were before we changed them: it may serve others after us.
import type { Socket } from 'node:net'
import { addon, getKernelOption, type KernelOption, setKernelOption } from '../native/binding.js'
import type { KernelSettings } from './options.js'

/** Reads options. Those that this system or this kind of socket has not are left out. */
export function saveOptions(socket: Socket, options: readonly KernelOption[]): KernelSettings {
  if (addon === undefined) return []
  const saved: [KernelOption, number][] = []
  for (const option of options) {
    const value = getKernelOption(socket, option)
    if (value >= 0) saved.push([option, value])
  }
  // Nearly all connections begin alike: thousands of them can share one list.
  if (saved.length === last.length && saved.every((pair, index) => isSame(pair, last[index]))) {
    return last
  }
  last = saved
  return saved
}

let last: KernelSettings = []

function isSame(a: KernelSettings[number], b: KernelSettings[number] | undefined): boolean {
  return b !== undefined && a[0] === b[0] && a[1] === b[1]
}

/** Puts options back. A socket that is gone has taken them with it. */
export function restoreOptions(socket: Socket, saved: KernelSettings): void {
  for (const [option, value] of saved) setKernelOption(socket, option, value)
}
