// What a connection's options were before we changed them: it may serve others after us.
import type { Socket } from 'node:net'
import { addon, getKernelOption, type KernelOption, setKernelOption } from './binding.js'
import type { KernelSettings } from './options.js'

/** Reads options. Those that this system or this kind of socket has not are left out. */
export function saveOptions(socket: Socket, options: readonly KernelOption[]): KernelSettings {
  if (addon === undefined) return []
  const saved: [KernelOption, number][] = []
  for (const option of options) {
    const value = getKernelOption(socket, option)
    if (value >= 0) saved.push([option, value])
  }
  return saved
}

/** Puts options back. A socket that is gone has taken them with it. */
export function restoreOptions(socket: Socket, saved: KernelSettings): void {
  for (const [option, value] of saved) setKernelOption(socket, option, value)
}
