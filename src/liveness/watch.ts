// Between the monitor and those who have a socket watched.

import type { KernelSettings } from '../tcp/kernel-settings.js'
import type { PeerEvidence } from './evidence.js'
import type { MonitorPlan } from './plan.js'
import type { Verdict } from './verdict.js'

/** What can be watched: a `net.Socket`, or anything else that a `Kernel` knows. */
export interface Watchable {
  /** Whether it has ended, and there is nothing to look at any more. */
  readonly destroyed: boolean
}

/** Who is told about a socket. Called from the tick; what it throws is thrown again outside of it. */
export interface Watcher {
  /** What it needs of the connection. */
  readonly plan: MonitorPlan
  /** TCP_NOTSENT_LOWAT while the socket is under watch, bytes; the lowest of all watchers'. */
  readonly notSentLowWater?: number | undefined
  /** The peer is dead. The monitor resets the connection right after. */
  onPeerDead(evidence: PeerEvidence): void
  /** The peer's kernel, or ours, has ended the connection and Node has not noticed: it is not reading. */
  onPeerGone(evidence: PeerEvidence): void
  /**
   * Asked while the peer has sent FIN and the connection lives on: whether that is all right, because the peer may still
   * be reading. The connection is then left alone, as long as all watchers say so. Without it: no.
   */
  mayHalfClose?(): boolean
  /** A look has found another verdict than the one before; comes before anything that follows from it. */
  onVerdict?(verdict: Verdict, previous: Verdict): void
  /**
   * After each look at the socket. Looks come at the plan's `pace` while anything is written or outstanding, and at its
   * `quietPace` otherwise.
   *
   * @param stalledFor - ms for which bytes have waited and none was acknowledged (without the kernel's word:
   * none left user space)
   * @param loopTime - a clock like that of `now`, without the time for which the event loop was blocked: for stalls
   * @returns the time by which to be called again, whatever happens on the connection, or `Infinity`
   */
  onSample(now: number, stalledFor: number, verdict: Verdict, loopTime: number): number
}

/** A socket under watch, from a watcher's side. */
export interface Watch {
  readonly verdict: Verdict
  /** Whether the peer was asked more than once and has not answered yet, by the latest look. */
  readonly unanswered: boolean
  /** Whether somebody else watches the same socket. */
  readonly shared: boolean
  /** What was in force before the watch, of the options that it has set. */
  readonly saved: KernelSettings
  /** Asks for a look at the next tick. */
  requestSample(): void
  /**
   * Milliseconds for which something has gone unanswered: by the latest look, or as of `now`; `undefined` where the kernel
   * has told nothing.
   */
  silentFor(now?: number): number | undefined
  /**
   * Milliseconds since the kernel last sent data, by a look that was made at `now`; NaN where there was none or it has told nothing.
   * Only a watch of the kernel's view has it.
   */
  sentAgo?(now: number): number
  /** What is known of the peer by the latest look. */
  evidence(): PeerEvidence
  /**
   * Ends this watcher's interest. The last one leaves the socket's options as they were before: the connection may
   * serve others, and nobody would be there to switch TCP_USER_TIMEOUT off behind a shut window.
   */
  release(watcher: Watcher): void
}

/** How a socket is taken under watch. */
export interface WatchOptions {
  /**
   * For a socket that has the plan's options already, inherited from its listening socket: the TCP_USER_TIMEOUT to leave
   * behind at the end. Saves the system calls.
   */
  readonly inheritedFrom?: number | undefined
}
