// Options of a socket that several may watch, one after the other or at once.
import type { Kernel } from './kernel.js'
import type { Subject } from './subject.js'
import type { Watchable } from './watch.js'

/** Puts the lowest that a watcher asks for in force; where none does, what was there before. */
export function adoptLowWater<S extends Watchable>(kernel: Kernel<S>, subject: Subject<S>): void {
  const { socket, lowWater, notSentLowWater: inForce, notSentLowWaterBefore: before } = subject
  const wanted = lowWater ?? before
  if (wanted === undefined || wanted === inForce || socket.destroyed) return
  subject.notSentLowWaterBefore ??= kernel.notSentLowWater(socket)
  subject.notSentLowWater = wanted
  kernel.setNotSentLowWater(socket, wanted)
}

/** A plan that had one has left: nobody would switch it off behind a shut window, and it would end a living client there. */
export function putUserTimeoutBack<S extends Watchable>(
  kernel: Kernel<S>,
  subject: Subject<S>,
): void {
  if (subject.userTimeout === undefined) return
  subject.userTimeout = undefined
  const before = subject.saved.find(([option]) => option === 'TCP_USER_TIMEOUT')
  if (before !== undefined) kernel.setUserTimeout(subject.socket, before[1])
}
