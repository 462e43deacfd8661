// Callbacks of applications run in the tick that all sockets of the process share.
import { callAtEndOfTick } from './scheduling.js'

/**
 * Raises an error as an `uncaughtException` at the end of the tick, as Node does for listeners of an EventTarget. Other
 * callbacks of the tick still run, and the error is never lost.
 */
export function rethrowLater(error: unknown): void {
  callAtEndOfTick(raise, error)
}

function raise(error: unknown): never {
  throw error
}

/** Calls `action`. An error that it throws is raised later, so that the caller goes on. */
export function isolated(action: () => void): void {
  try {
    action()
  } catch (error) {
    rethrowLater(error)
  }
}
