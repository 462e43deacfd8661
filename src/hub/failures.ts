// The errors of engines, and promises that settle in time.
import { TcpSseError } from '../internal/errors.js'
import { callAfter } from '../internal/scheduling.js'

/** Nothing was taken, or nothing was read. */
export function hubDown(why: string, cause?: unknown): TcpSseError {
  return new TcpSseError('ERR_HUB_DOWN', why, { cause })
}

/** Sent, and not answered. */
export function publishUnknown(why: string, cause?: unknown): TcpSseError {
  return new TcpSseError('ERR_PUBLISH_UNKNOWN', why, { cause })
}

/** What a hub that has been closed throws. */
export function hubClosed(): TcpSseError {
  return new TcpSseError('ERR_HUB_CLOSED', 'The hub has been closed.')
}

/** Settles as the promise does, or rejects after some milliseconds with what `late` makes. */
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

/** Milliseconds before the next attempt: 50, doubled each time up to `longest`, minus up to a third by chance, so that processes spread. */
export function backoff(attempt: number, longest: number): number {
  const pause = Math.min(50 * 2 ** Math.min(attempt, 20), longest)
  return pause - (Math.random() * pause) / 3
}
