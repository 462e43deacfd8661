// The guard of a port. It watches connections that belong to other processes, and ends those whose
// peers are dead.
import { type Clock, systemClock } from '../internal/clock.js'
import { TcpSseError } from '../internal/errors.js'
import { Monitor } from '../liveness/monitor.js'
import type { Verdict } from '../liveness/verdict.js'
import { whyNoDestroy } from '../tcp/diag.js'
import { Arming } from './arming.js'
import { clientFilter } from './clients.js'
import { type Connection, Connections } from './connections.js'
import { OutsideKernel } from './kernel.js'
import {
  type PortCloseInfo,
  type PortCloseReason,
  type PortGuardOptions,
  type PortGuardSettings,
  portGuardSettings,
} from './options.js'
import { type Owner, Peer, type PeerSnapshot } from './peer.js'

/** A snapshot of a guard's counters. `closed` and all counters after it never decrease. */
export interface PortGuardStats {
  /** Watched connections now, by verdict on the peer. */
  readonly verdicts: Readonly<Record<Verdict, number>>
  /** Listening sockets on the guarded ports. */
  readonly listening: number
  /** Connections on which the kernel probes idle peers according to the plan. */
  readonly armed: number
  /** Why other connections are not armed, in one sentence, if `arm` is on. */
  readonly armingProblem: string | undefined
  /** Connections that were ended, by reason. With `dryRun`, those that would have been ended. */
  readonly closed: Readonly<Record<PortCloseReason, number>>
  /**
   * Connections that answered, or ended by themselves, just before the guard would have ended them.
   */
  readonly spared: number
  /** Connections that the kernel refused to end. */
  readonly failed: number
  /** How often the kernel has listed all connections for the guard (a dump). */
  readonly dumps: number
  /** How often single connections were sampled. */
  readonly samples: number
  /** Dumps that the kernel refused. The previous dump was used in their place. */
  readonly failedDumps: number
}

/**
 * Watches over a port. Made by `guardPort`.
 *
 * @example
 * const guard = guardPort({ port: 8000 })
 * console.log(guard.stats().verdicts)
 * guard.stop()
 */
export interface PortGuard {
  /** Returns the guard's counters. */
  stats(): PortGuardStats
  /** Returns what is known of each connection. */
  peers(): PeerSnapshot[]
  /**
   * Stops the guard. Connections stay open, and keepalive as set by `arm` remains: it never ends a
   * living connection.
   */
  stop(): void
  /** The same as `stop()`, for `using guard = guardPort(…)`. */
  [Symbol.dispose](): void
}

/**
 * Watches the connections of a TCP port, in any process, and ends those whose peers have vanished.
 * The server gets an ordinary error, as if the kernel had given the connection up. Requires Linux,
 * and must run in the server's network namespace. Ending connections needs CAP_NET_ADMIN. See
 * docs/outside.md.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`, `ERR_DETECT_WITHIN_TOO_SMALL`; `ERR_SOCK_DIAG` if
 * connections cannot be listed or ended
 * @example
 * const guard = guardPort({
 *   port: 8000,
 *   detectWithin: 30_000,
 *   onClose: ({ reason, remoteAddress }) => console.log(reason, remoteAddress),
 * })
 */
export function guardPort(options: PortGuardOptions): PortGuard {
  return new GuardedPort(portGuardSettings(options), systemClock)
}

class GuardedPort implements PortGuard, Owner {
  readonly settings: PortGuardSettings
  readonly clock: Clock
  readonly monitor: Monitor<Connection>
  readonly #connections: Connections
  readonly #kernel: OutsideKernel
  readonly #arming: Arming | undefined
  readonly #peers = new Map<Connection, Peer>()
  readonly #isMeant: (address: string) => boolean
  readonly #closed: Record<PortCloseReason, number> = { 'peer-dead': 0, stalled: 0 }
  #cancelTimer: (() => void) | undefined
  #spared = 0
  #failed = 0
  #dumps = 0
  #failedDumps = 0

  constructor(settings: PortGuardSettings, clock: Clock) {
    const { ports, address, except, arm, dryRun, armedPlan } = settings
    const obstacle = dryRun ? undefined : whyNoDestroy()
    if (obstacle !== undefined) throw new TcpSseError('ERR_SOCK_DIAG', obstacle)
    this.settings = settings
    this.clock = clock
    this.#isMeant = clientFilter(address, except)
    // A dry run changes nothing.
    this.#arming = arm && !dryRun ? new Arming(armedPlan) : undefined
    this.#connections = new Connections(ports)
    this.#kernel = new OutsideKernel(
      this.#connections,
      () => this.#refresh(),
      () => clock.now(),
      armedPlan,
      this.#arming,
    )
    this.monitor = new Monitor(clock, this.#kernel)
    this.#take()
    this.#schedule(armedPlan.checkPace)
  }

  stats(): PortGuardStats {
    const verdicts = { alive: 0, congested: 0, slow: 0, 'half-closed': 0, dead: 0 }
    let armed = 0
    for (const peer of this.#peers.values()) {
      verdicts[peer.verdict] += 1
      if (peer.armed) armed += 1
    }
    return {
      verdicts,
      listening: this.#connections.listening.length,
      armed,
      armingProblem: this.#arming?.state.problem,
      closed: { ...this.#closed },
      spared: this.#spared,
      failed: this.#failed,
      dumps: this.#dumps,
      samples: this.#kernel.samples,
      failedDumps: this.#failedDumps,
    }
  }

  peers(): PeerSnapshot[] {
    return [...this.#peers.values()].map((peer) => peer.snapshot())
  }

  stop(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    for (const peer of this.#peers.values()) peer.release()
    this.#peers.clear()
  }

  [Symbol.dispose](): void {
    this.stop()
  }

  report(info: PortCloseInfo): void {
    if (info.outcome === 'failed') this.#failed += 1
    else this.#closed[info.reason] += 1
    this.settings.onClose?.(info)
  }

  spare(): void {
    this.#spared += 1
  }

  /** Makes a dump if the monitor has not needed one for `checkPace`. */
  #schedule(after: number): void {
    this.#cancelTimer = this.clock.after(Math.max(1, after), () => {
      const pace = this.settings.armedPlan.checkPace
      const age = this.clock.now() - this.#connections.at
      if (age >= pace) this.#refresh()
      this.#schedule(age < pace ? pace - age : pace)
    })
  }

  /**
   * A dump can fail if the kernel is out of memory, or this process is out of descriptors, for a
   * moment.
   */
  #refresh(): void {
    try {
      this.#take()
    } catch (error) {
      if (!(error instanceof TcpSseError)) throw error
      this.#failedDumps += 1
    }
  }

  /** Makes a dump and applies the changes. */
  #take(): void {
    this.#dumps += 1
    const { arrived, departed } = this.#connections.refresh(() => this.clock.now())
    for (const connection of departed) {
      this.#peers.get(connection)?.release()
      this.#peers.delete(connection)
    }
    const meant: Peer[] = []
    for (const connection of arrived) {
      const peer = new Peer(this, connection)
      if (!this.#isMeant(peer.remote.address)) continue
      this.#peers.set(connection, peer)
      meant.push(peer)
    }
    if (this.#arming !== undefined) this.#arm(this.#arming, meant)
    for (const peer of meant) peer.watch()
    for (const peer of this.#peers.values()) peer.reconsider(this.#connections)
  }

  /** Arms connections that have not inherited the options, or that their server has disarmed. */
  #arm(arming: Arming, arrived: readonly Peer[]): void {
    const inherited = arming.armListeners(this.#connections.listening)
    if (inherited) for (const peer of arrived) peer.armed = true
    const wanted: Connection[] = []
    for (const [connection, peer] of this.#peers) {
      if (!peer.armed || arming.isMissing(this.#connections, connection)) wanted.push(connection)
    }
    const armed = arming.armConnections(this.#connections, wanted)
    for (const connection of wanted) {
      // Keepalive may now probe a peer that was not probed for hours.
      if (armed.has(connection)) connection.silenceCountsFrom = this.#connections.at
      const peer = this.#peers.get(connection)
      if (peer !== undefined) peer.armed = armed.has(connection)
    }
  }
}
