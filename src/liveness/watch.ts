// The interface between the monitor and its watchers.

import type { KernelSettings } from '../tcp/kernel-settings.js'
import type { PeerEvidence } from './evidence.js'
import type { MonitorPlan } from './plan.js'
import type { Verdict } from './verdict.js'

/** An object that can be watched: a `net.Socket`, or another object that a `Kernel` supports. */
export interface Watchable {
  /** Whether it has ended, so that it cannot be sampled any more. */
  readonly destroyed: boolean
}

/**
 * Gets events about a socket. Methods are called from the tick; an error that one throws is raised outside the tick.
 */
export interface Watcher {
  /** The plan that the connection must follow. */
  readonly plan: MonitorPlan
  /** TCP_NOTSENT_LOWAT in bytes while the socket is watched; the lowest value of all watchers applies. */
  readonly notSentLowWater?: number | undefined
  /** The peer is dead. The monitor resets the connection right after. */
  onPeerDead(evidence: PeerEvidence): void
  /** The peer's kernel or this one has ended the connection, and Node has not noticed because it is not reading. */
  onPeerGone(evidence: PeerEvidence): void
  /**
   * Called while the peer has sent FIN and the connection still exists. Returns whether this is acceptable, because the
   * peer may still be reading. The connection stays open while all watchers accept it. Without this method, it is not
   * accepted.
   */
  mayHalfClose?(): boolean
  /** A sample has changed the verdict. Called before anything that follows from the change. */
  onVerdict?(verdict: Verdict, previous: Verdict): void
  /**
   * Called after each sample. Samples are taken at the plan's `pace` while anything is written or outstanding,
   * otherwise at its `quietPace`.
   *
   * @param stalledFor - ms for which bytes have waited and none was acknowledged; without the kernel's data, none left
   * user space
   * @param loopTime - the clock of `now` without the time for which the event loop was blocked, for stalls
   * @returns the time of the next call, even if nothing happens on the connection, or `Infinity`
   */
  onSample(now: number, stalledFor: number, verdict: Verdict, loopTime: number): number
}

/** A watched socket, as a watcher sees it. */
export interface Watch {
  readonly verdict: Verdict
  /** Whether, at the latest sample, the peer had not answered more than one question. */
  readonly unanswered: boolean
  /** Whether the socket has other watchers. */
  readonly shared: boolean
  /** The previous values of the options that the watch has set. */
  readonly saved: KernelSettings
  /** Requests a sample at the next tick. */
  requestSample(): void
  /**
   * Milliseconds for which something has been unanswered, at the latest sample or at `now`; `undefined` without the
   * kernel's data.
   */
  silentFor(now?: number): number | undefined
  /**
   * Milliseconds since the kernel last sent data, from a sample at `now`; NaN if there was no sample or no data. Only a
   * watch with the kernel's data has this method.
   */
  sentAgo?(now: number): number
  /**
   * The offset up to which the peer's kernel had acknowledged the connection's bytes at the latest sample; NaN if it is
   * unknown. Only a watch with the kernel's data has this property.
   */
  readonly acknowledged?: number
  /** The evidence at the latest sample. */
  evidence(): PeerEvidence
  /**
   * Removes a watcher. After the last one, the socket's options are restored: the connection may serve other requests,
   * and TCP_USER_TIMEOUT would no longer be adjusted behind a closed window.
   */
  release(watcher: Watcher): void
}

/** Options of a watch. */
export interface WatchOptions {
  /**
   * For a socket that has inherited the plan's options from its listening socket: the TCP_USER_TIMEOUT to restore at
   * the end. Saves system calls.
   */
  readonly inheritedFrom?: number | undefined
}
