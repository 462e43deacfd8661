// What the monitor needs of sockets, for sockets of other processes.
import type { Kernel } from '../liveness/kernel.js'
import { LONGEST_RETRANSMIT_MAX } from '../liveness/kernel-clocks.js'
import type { Sight } from '../liveness/observation.js'
import type { MonitorPlan } from '../liveness/plan.js'
import { findSockets } from '../tcp/diag.js'
import { column } from '../tcp/info.js'
import type { Arming } from './arming.js'
import type { Connection, Connections } from './connections.js'
import { readRow } from './reading.js'

/**
 * A dump takes about 2 us a connection and a look at one takes 10 us, so a few are looked at one by one, and many by a dump.
 * What it counts are the connections that are due.
 */
function isDumpCheaper(due: number, all: number): boolean {
  return due > 32 + all / 8
}

/** The view of the system of a monitor that watches connections of other processes. */
export class OutsideKernel implements Kernel<Connection> {
  readonly #connections: Connections
  readonly #refresh: () => void
  readonly #now: () => number
  readonly #pace: number
  readonly #slack: number
  /** So old a dump is still a look at each of its connections, ms: a pass over thousands takes some turns of the event loop. */
  readonly #fresh: number
  readonly #arming: Arming | undefined
  readonly #asking: number
  looks = 0

  /** @param refresh - makes a dump; does not throw */
  constructor(
    connections: Connections,
    refresh: () => void,
    now: () => number,
    { pace, urgentPace, keepAlive }: MonitorPlan,
    arming: Arming | undefined,
  ) {
    this.#connections = connections
    this.#refresh = refresh
    this.#now = now
    this.#pace = pace
    this.#slack = urgentPace / 4
    this.#fresh = urgentPace
    this.#arming = arming
    this.#asking = keepAlive === false ? 0 : keepAlive.idle
  }

  begin(due: number): void {
    if (!this.#isFresh() && isDumpCheaper(due, this.#connections.size)) this.#refresh()
  }

  /**
   * Looks that are not urgent come together at whole multiples of the pace, or of twice, four times the pace: one dump is
   * then for all of them.
   */
  align(at: number, now: number): number {
    const paces = Math.floor((at - now + this.#slack) / this.#pace)
    if (paces < 1) return at
    const unit = this.#pace * 2 ** Math.floor(Math.log2(paces))
    return Math.floor((at + this.#slack) / unit) * unit
  }

  look(connections: readonly Connection[], into: readonly Sight[]): readonly boolean[] {
    if (!this.#isFresh()) return this.#ask(connections, into)
    return connections.map((connection, index) => this.#recall(connection, into[index] as Sight))
  }

  /** The bytes written so far, where the latest dump shows that nothing is outstanding. */
  activity(connection: Connection): number {
    const all = this.#connections
    if (!this.#isFresh() || !all.has(connection)) return Number.NaN
    const waiting =
      all.cell(connection, column.unacked) +
      all.cell(connection, column.outq) +
      all.cell(connection, column.probes)
    return waiting === 0 ? all.cell(connection, column.bytesAcked) : Number.NaN
  }

  #isFresh(): boolean {
    return this.#now() - this.#connections.at <= this.#fresh
  }

  #recall(connection: Connection, into: Sight): boolean {
    const { rows, at } = this.#connections
    if (rows === undefined || !this.#connections.has(connection)) return false
    const now = this.#now()
    // The times of a row are those of the dump.
    const age = Math.max(0, now - at)
    readRow(connection, { rows, index: connection.row, age }, into, now, this.#asking)
    return true
  }

  #ask(connections: readonly Connection[], into: readonly Sight[]): readonly boolean[] {
    this.looks += connections.length
    try {
      const rows = findSockets(connections.map(({ id }) => id))
      const now = this.#now()
      return connections.map((connection, index) => {
        const gone = rows.numbers[index * rows.width + column.errno] !== 0
        // The next dump takes it off the list.
        if (gone) connection.destroyed = true
        else readRow(connection, { rows, index, age: 0 }, into[index] as Sight, now, this.#asking)
        return !gone
      })
    } catch {
      // No memory or no descriptor for the question. A look that tells nothing changes nothing.
      return []
    }
  }

  setRetransmitMax(connection: Connection, milliseconds: number): void {
    // The kernel's default is in force until something else is wanted.
    if (milliseconds === (connection.retransmitMax ?? LONGEST_RETRANSMIT_MAX)) return
    connection.retransmitMax = milliseconds
    this.#arming?.setOption(this.#connections, connection, 'TCP_RTO_MAX_MS', milliseconds)
  }

  /** As `systemKernel` does it. */
  probe(connection: Connection, { keepAlive }: MonitorPlan): void {
    if (keepAlive === false) return
    const seconds = Math.ceil(keepAlive.idle / 1_000)
    this.#arming?.setOption(this.#connections, connection, 'TCP_KEEPIDLE', seconds)
  }

  /** Keepalive stays. With short timeouts the kernel may end a living connection on a path that loses much. */
  restore(connection: Connection): void {
    this.setRetransmitMax(connection, LONGEST_RETRANSMIT_MAX)
  }

  // Nothing waits in our user space, and options are set by `Arming`, which may take longer than a look.
  pending = (): number => 0
  progress = (): number => 0
  save = (): [] => []
  arm(): void {}
  setUserTimeout(): void {}
  notSentLowWater = (): number => -1
  setNotSentLowWater(): void {}
  // The guard ends a connection when it is told of its death: it has to know whether that has worked.
  reset(): void {}
}
