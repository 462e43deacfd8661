// All streams that share a signal share one listener: Node warns about more than ten.
import { isolated } from './rethrow.js'

const listeners = new WeakMap<AbortSignal, Set<() => void>>()

/** Calls back once when the signal aborts. Returns a function that cancels this; the last one removes the listener. */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  let callbacks = listeners.get(signal)
  if (callbacks === undefined) {
    callbacks = new Set()
    listeners.set(signal, callbacks)
    signal.addEventListener('abort', callAll)
  }
  const mine = callbacks
  mine.add(callback)
  return () => {
    mine.delete(callback)
    if (mine.size > 0 || listeners.get(signal) !== mine) return
    listeners.delete(signal)
    signal.removeEventListener('abort', callAll)
  }
}

function callAll(this: AbortSignal): void {
  const callbacks = listeners.get(this)
  listeners.delete(this)
  this.removeEventListener('abort', callAll)
  for (const callback of callbacks ?? []) isolated(callback)
}
