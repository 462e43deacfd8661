// Holds the idle timers that a server sets on its connections. They must not end a stream that is quiet for a while.
import type { Http2Session } from 'node:http2'

/** A socket or an HTTP/2 session. */
export interface Timed extends Pick<Http2Session, 'destroyed' | 'setTimeout'> {
  /** The timer in milliseconds; 0 or `undefined` if there is none. */
  timeout?: number | undefined
}

interface Held {
  readonly timeout: number
  streams: number
}

const held = new WeakMap<Timed, Held>()

/**
 * Disables a connection's idle timer while it carries a stream. A timer that the application sets later stays.
 *
 * @returns whether there was a timer, so that `giveBackIdleTimer` must be called
 */
export function holdIdleTimer(connection: Timed): boolean {
  const { timeout = 0 } = connection
  const before = held.get(connection)
  if (before !== undefined) {
    before.streams += 1
    return true
  }
  if (timeout === 0) return false
  held.set(connection, { timeout, streams: 1 })
  connection.setTimeout(0)
  return true
}

/** Restores the timer after the last stream of the connection, unless Node or the application has set another one. */
export function giveBackIdleTimer(connection: Timed): void {
  const before = held.get(connection)
  if (before === undefined) return
  before.streams -= 1
  if (before.streams > 0) return
  held.delete(connection)
  if (!connection.destroyed && !connection.timeout) connection.setTimeout(before.timeout)
}
