// Errors of hub engines, and promises that settle within a time limit.
import { TcpSseError } from '../internal/errors.js'
import { callAfter } from '../internal/scheduling.js'

/**
 * The error for a request that the engine did not execute: nothing was taken, or nothing was read.
 */
export function hubDown(why: string, cause?: unknown): TcpSseError {
  return new TcpSseError('ERR_HUB_DOWN', why, { cause })
}

/** The error for a publication that was sent but not answered. */
export function publishUnknown(why: string, cause?: unknown): TcpSseError {
  return new TcpSseError('ERR_PUBLISH_UNKNOWN', why, { cause })
}

/** The error that a closed hub throws. */
export function hubClosed(): TcpSseError {
  return new TcpSseError('ERR_HUB_CLOSED', 'The hub has been closed.')
}

/** Settles as the promise does, or rejects with `late()` after `milliseconds`. */
export function within<T>(
  milliseconds: number,
  promise: Promise<T>,
  late: () => Error,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = callAfter(milliseconds, () => reject(late()))
    promise.then(resolve, reject).finally(cancel)
  })
}

/**
 * Milliseconds before the next attempt: 50, doubled each time up to `longest`, minus up to a third
 * at random, so that processes do not retry together.
 */
export function backoff(attempt: number, longest: number): number {
  const pause = Math.min(50 * 2 ** Math.min(attempt, 20), longest)
  return pause - (Math.random() * pause) / 3
}
