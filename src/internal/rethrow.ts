// Foreign callbacks run inside the tick that all sockets of the process share.
import { callAtEndOfTick } from './scheduling.js'

/**
 * Raises an error where it harms nobody else's turn, as Node does for listeners of an EventTarget: it becomes an
 * `uncaughtException`, never a silence.
 */
export function rethrowLater(error: unknown): void {
  callAtEndOfTick(raise, error)
}

function raise(error: unknown): never {
  throw error
}

/** Calls it: an error is its owner's, and is told as one; what comes after goes on. */
export function isolated(action: () => void): void {
  try {
    action()
  } catch (error) {
    rethrowLater(error)
  }
}
