// A server in a rig.

import { TcpSseError } from '../internal/errors.js'
import { monotonicNow, sleep } from '../internal/scheduling.js'
import type { ChildProcessHandle } from './child-process.js'
import { listenersOf } from './listening.js'

/** A server that runs in a rig. */
export interface RigServer {
  /** Its address inside the rig. */
  readonly host: string
  /** The port on which it listens. */
  readonly port: number
  /** `http://host:port` */
  readonly url: string
  /** Its process: for calls (if its module calls `answer({ … })`), signals, and its stderr. */
  readonly process: ChildProcessHandle
}

/**
 * Waits until a process listens on an address that clients can reach, and returns the port.
 *
 * @throws {TcpSseError} `ERR_CHILD`, as a rejection
 */
export async function portOf(peer: ChildProcessHandle, within: number): Promise<number> {
  const deadline = monotonicNow() + within
  for (;;) {
    const listeners = listenersOf(peer.pid)
    const listener = listeners.find(({ reachable }) => reachable)
    if (listener !== undefined) return listener.port
    const { ended } = peer
    if (ended !== undefined) throw new TcpSseError('ERR_CHILD', `the server has ended: ${ended}`)
    if (listeners.length > 0) {
      throw new TcpSseError('ERR_CHILD', 'the server listens on loopback only. Use 0.0.0.0')
    }
    if (monotonicNow() > deadline) {
      const why = `the server did not listen within ${within} ms`
      throw new TcpSseError('ERR_CHILD', `${why}: ${peer.stderr}`)
    }
    await sleep(10)
  }
}
