// One client of a guarded port.
import type { Clock } from '../internal/clock.js'
import { isolated } from '../internal/rethrow.js'
import { callAtEndOfTick } from '../internal/scheduling.js'
import type { PeerEvidence } from '../liveness/evidence.js'
import type { Monitor, MonitoredSocket } from '../liveness/monitor.js'
import type { MonitorPlan } from '../liveness/plan.js'
import type { Verdict } from '../liveness/verdict.js'
import type { Watcher } from '../liveness/watch.js'
import { destroySocket, type Endpoint, findSockets, GONE, localOf, remoteOf } from '../tcp/diag.js'
import type { TcpSnapshot } from '../tcp/info.js'
import { COLUMNS, column, Table } from '../tcp/record.js'
import type { Connection, Connections } from './connections.js'
import type { PortCloseInfo, PortCloseReason, PortGuardSettings } from './options.js'
import { copyRow, readRow } from './reading.js'

/** What is known of a client. */
export interface PeerSnapshot {
  /** The server's address. An IPv4-mapped address is given as IPv4. */
  readonly localAddress: string
  /** The guarded port. */
  readonly localPort: number
  /** The client's address. An IPv4-mapped address is given as IPv4. */
  readonly remoteAddress: string
  /** The client's port. */
  readonly remotePort: number
  /** The verdict at the latest sample. */
  readonly verdict: Verdict
  /** Milliseconds for which something has been unanswered. */
  readonly silentFor: number
  /** Milliseconds since the guard first saw the connection. */
  readonly seenFor: number
  /** Whether keepalive probes it according to the plan. */
  readonly armed: boolean
  /** The latest sample of the connection; `undefined` before the first. */
  readonly tcp: TcpSnapshot | undefined
}

/** The owner of peers: the guard of a port. */
export interface Owner {
  readonly settings: PortGuardSettings
  readonly clock: Clock
  readonly monitor: Monitor<Connection>
  /** Called when a connection was ended, or would have been. */
  report(info: PortCloseInfo): void
  /** Called when a connection that was about to be ended has shown a sign of life, or has ended. */
  spare(): void
}

/** A client, and the watch over it. */
export class Peer {
  readonly #owner: Owner
  readonly #connection: Connection
  readonly remote: Endpoint
  #watcher: Watcher | undefined
  #watch: MonitoredSocket<Connection> | undefined
  /** For a client that was given up but not ended: the time, and the last sample. */
  #parked:
    | {
        readonly at: number
        readonly evidence: PeerEvidence
        /** `bytesAcked` of a client that was reported as stalled. */
        readonly stalledAt: number | undefined
      }
    | undefined

  constructor(owner: Owner, connection: Connection) {
    this.#owner = owner
    this.#connection = connection
    this.remote = remoteOf(connection.id)
  }

  get verdict(): Verdict {
    return this.#parked?.evidence.verdict ?? this.#watch?.verdict ?? 'alive'
  }

  get armed(): boolean {
    return this.#connection.armed
  }

  /**
   * Whether an idle peer is probed. A change starts another watch, which keeps what is known of the
   * peer's silence.
   */
  set armed(armed: boolean) {
    if (armed === this.armed) return
    this.#connection.armed = armed
    this.#connection.outstanding = false
    const before = this.#watcher
    if (before === undefined) return
    this.watch()
    this.#watch?.release(before)
  }

  get #plan(): MonitorPlan {
    const { armedPlan, plainPlan } = this.#owner.settings
    return this.armed ? armedPlan : plainPlan
  }

  watch(): void {
    if (this.#connection.destroyed) return
    this.#parked = undefined
    this.#watcher = {
      plan: this.#plan,
      onPeerDead: this.#onPeerDead,
      onPeerGone: this.#forget,
      // Only the server can know whether such a client still reads, and the server has seen the FIN
      // itself.
      mayHalfClose: () => true,
      onSample: this.#onSample,
    }
    this.#watch = this.#owner.monitor.watch(this.#connection, this.#watcher)
  }

  release(): void {
    if (this.#watcher !== undefined) this.#watch?.release(this.#watcher)
    this.#forget()
  }

  /** Watches a client again that was given up but not ended, if it has answered since, or taken bytes if it was stalled. */
  reconsider(connections: Connections): void {
    if (this.#parked === undefined || !connections.has(this.#connection)) return
    const { stalledAt } = this.#parked
    if (stalledAt !== undefined) {
      if (connections.cell(this.#connection, column.bytesAcked) !== stalledAt) this.watch()
      return
    }
    const silence = connections.cell(this.#connection, column.lastAckReceived)
    if (connections.madeAt(this.#connection) - silence > this.#parked.at) this.watch()
  }

  snapshot(): PeerSnapshot {
    const evidence = this.#parked?.evidence ?? this.#watch?.evidence()
    const now = this.#owner.clock.now()
    return {
      ...this.#addresses(),
      verdict: this.verdict,
      silentFor: evidence?.silentFor ?? 0,
      seenFor: now - this.#connection.firstSeen,
      armed: this.armed,
      tcp: evidence?.tcp,
    }
  }

  #addresses(): Omit<Endpoint, 'address' | 'port'> &
    Pick<PeerSnapshot, 'localAddress' | 'localPort' | 'remoteAddress' | 'remotePort'> {
    const local = localOf(this.#connection.id)
    return {
      localAddress: local.address,
      localPort: local.port,
      remoteAddress: this.remote.address,
      remotePort: this.remote.port,
    }
  }

  readonly #forget = (): void => {
    this.#watcher = undefined
    this.#watch = undefined
  }

  /** The monitor drops the connection right after this. */
  readonly #onPeerDead = (evidence: PeerEvidence): void => {
    const watch = this.#watch
    this.#forget()
    this.#end('peer-dead', evidence, undefined, (now) => {
      const judgeAgain = (table: Table, start: number): boolean =>
        this.#sampleAgain(table, start, now)
      return watch?.judgeAgain(judgeAgain, now) === 'dead'
    })
  }

  readonly #onSample = (now: number, stalledFor: number): number => {
    const { stallTimeout } = this.#owner.settings
    if (stallTimeout === false || stalledFor === 0) return Number.POSITIVE_INFINITY
    if (stalledFor < stallTimeout) return now + stallTimeout - stalledFor
    const evidence = this.#watch?.evidence()
    if (evidence?.tcp === undefined) return Number.POSITIVE_INFINITY
    const { bytesAcked } = evidence.tcp
    this.release()
    this.#end('stalled', evidence, stalledFor, (now) => {
      return this.#sampleAgain(again, 0, now) && again.get(0, column.bytesAcked) === bytesAcked
    })
    return Number.POSITIVE_INFINITY
  }

  /**
   * Takes one more sample right before the end. This process may have been stopped since the last
   * sample, and the peer may have answered in the meantime.
   */
  #end(
    reason: PortCloseReason,
    evidence: PeerEvidence,
    stalledFor: number | undefined,
    isStillSo: (now: number) => boolean,
  ): void {
    const now = this.#owner.clock.now()
    if (!isStillSo(now)) {
      this.#owner.spare()
      // The monitor drops the present watch first.
      callAtEndOfTick(watchAgain, this)
      return
    }
    const { dryRun } = this.#owner.settings
    const result = dryRun ? 0 : destroySocket(this.#connection.id)
    if (result === GONE) {
      this.#connection.destroyed = true
      this.#owner.spare()
      return
    }
    this.#connection.destroyed = result === 0 && !dryRun
    const stalledAt = reason === 'stalled' ? evidence.tcp?.bytesAcked : undefined
    if (!this.#connection.destroyed) this.#parked = { at: now, evidence, stalledAt }
    const info: PortCloseInfo = {
      reason,
      outcome: dryRun ? 'dry-run' : result === 0 ? 'ended' : 'failed',
      errno: result === 0 ? undefined : result,
      ...this.#addresses(),
      seenFor: now - this.#connection.firstSeen,
      verdict: evidence.verdict,
      stalledFor,
      evidence,
    }
    isolated(() => this.#owner.report(info))
  }

  #sampleAgain(table: Table, start: number, now: number): boolean {
    try {
      copyRow(findSockets([this.#connection.id]), 0, table, start)
    } catch {
      // The kernel cannot be asked at the moment. Without a sample, the connection is not ended.
      return false
    }
    const { keepAlive } = this.#owner.settings.armedPlan
    const asking = keepAlive === false ? 0 : keepAlive.idle
    this.#connection.destroyed = table.get(start, column.errno) !== 0
    if (!this.#connection.destroyed) readRow(this.#connection, table, start, now, asking)
    return !this.#connection.destroyed
  }
}

/** For a sample that is read at once. */
const again = new Table(COLUMNS.length, 1)

function watchAgain(peer: Peer): void {
  peer.watch()
}
