// Node's idle timers, which a server sets on its connections: they must not end a stream that is quiet for a while.
import type { Http2Session } from 'node:http2'

/** A socket or an HTTP/2 session. */
export interface Timed extends Pick<Http2Session, 'destroyed' | 'setTimeout'> {
  /** Milliseconds; 0 or `undefined` for none. */
  timeout?: number | undefined
}

interface Held {
  readonly timeout: number
  streams: number
}

const held = new WeakMap<Timed, Held>()

/**
 * Switches a connection's idle timer off while a stream is on it. What the application sets after that stays.
 *
 * @returns whether there was one, so that `giveBack` is due
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

/** The last of its streams has ended. Node or the application may have set another timer by now. */
export function giveBackIdleTimer(connection: Timed): void {
  const before = held.get(connection)
  if (before === undefined) return
  before.streams -= 1
  if (before.streams > 0) return
  held.delete(connection)
  if (!connection.destroyed && !connection.timeout) connection.setTimeout(before.timeout)
}
