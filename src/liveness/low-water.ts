// TCP_NOTSENT_LOWAT of a socket that several may watch.
import type { Kernel } from './kernel.js'
import type { Subject } from './subject.js'

/** Puts the lowest that a watcher asks for in force; where none does, what was there before. */
export function adoptLowWater(kernel: Kernel, subject: Subject): void {
  const { socket, watchers, notSentLowWater: inForce, notSentLowWaterBefore: before } = subject
  const asked = watchers.flatMap(({ notSentLowWater }) => notSentLowWater ?? [])
  const wanted = asked.length > 0 ? Math.min(...asked) : before
  if (wanted === undefined || wanted === inForce || socket.destroyed) return
  subject.notSentLowWaterBefore ??= kernel.notSentLowWater(socket)
  subject.notSentLowWater = wanted
  kernel.setNotSentLowWater(socket, wanted)
}
