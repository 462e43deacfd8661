// Implements the monitor's view of sockets for sockets of other processes.
import type { Kernel } from '../liveness/kernel.js'
import type { MonitorPlan } from '../liveness/plan.js'
import { LONGEST_RETRANSMIT_MAX } from '../native/kernel-defaults.js'
import { type DiagRows, findSockets } from '../tcp/diag.js'
import type { KernelSettings } from '../tcp/kernel-settings.js'
import { column, type Table } from '../tcp/record.js'
import type { Arming } from './arming.js'
import type { Connection, Connections } from './connections.js'
import { copyRow, readRow } from './reading.js'

/**
 * Whether a dump costs less than sampling the due connections one by one. A dump takes about 2 us
 * per connection, a single sample 10 us.
 */
function isDumpCheaper(due: number, all: number): boolean {
  return due > 32 + all / 8
}

/** The kernel as seen by a monitor that watches connections of other processes. */
export class OutsideKernel implements Kernel<Connection> {
  readonly #connections: Connections
  readonly #refresh: () => void
  readonly #now: () => number
  readonly #pace: number
  readonly #slack: number
  /**
   * A dump that is at most this old counts as a sample of each connection, in milliseconds. A pass
   * over thousands takes several turns of the event loop.
   */
  readonly #fresh: number
  readonly #arming: Arming | undefined
  readonly #asking: number
  samples = 0

  /** @param refresh - makes a dump; it does not throw */
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
   * Aligns samples that are not urgent to multiples of the pace, or of two or four times the pace,
   * so that one dump serves them all.
   */
  align(at: number, now: number): number {
    const paces = Math.floor((at - now + this.#slack) / this.#pace)
    if (paces < 1) return at
    const unit = this.#pace * 2 ** Math.floor(Math.log2(paces))
    return Math.floor((at + this.#slack) / unit) * unit
  }

  sample(connections: readonly Connection[], table: Table, starts: readonly number[]): void {
    if (!this.#isFresh()) {
      this.#ask(connections, table, starts)
      return
    }
    const { rows } = this.#connections
    for (const [index, connection] of connections.entries()) {
      const start = starts[index] as number
      if (rows === undefined || !this.#connections.has(connection)) {
        table.set(start, column.errno, Number.NaN)
        continue
      }
      copyRow(rows, connection.row, table, start)
      connection.sampledAt = this.#connections.madeAt(connection)
      readRow(connection, table, start, connection.sampledAt, this.#asking)
    }
  }

  sampledAt({ sampledAt }: Connection): number {
    return sampledAt
  }

  /**
   * The bytes acknowledged so far, if the latest dump shows that nothing is outstanding; otherwise
   * `NaN`.
   */
  activity(connection: Connection): number {
    const all = this.#connections
    if (!this.#isFresh() || !all.has(connection)) return Number.NaN
    const waiting =
      all.cell(connection, column.unackedSegments) +
      all.cell(connection, column.outq) +
      all.cell(connection, column.probes)
    return waiting === 0 ? all.cell(connection, column.bytesAcked) : Number.NaN
  }

  #isFresh(): boolean {
    return this.#now() - this.#connections.at <= this.#fresh
  }

  #ask(connections: readonly Connection[], table: Table, starts: readonly number[]): void {
    this.samples += connections.length
    // If memory or descriptors are short, the sample says nothing and changes nothing.
    for (const start of starts) table.set(start, column.errno, Number.NaN)
    let rows: DiagRows
    try {
      rows = findSockets(connections.map(({ id }) => id))
    } catch {
      return
    }
    const now = this.#now()
    for (const [index, connection] of connections.entries()) {
      const start = starts[index] as number
      copyRow(rows, index, table, start)
      connection.sampledAt = now
      if (table.get(start, column.errno) === 0) readRow(connection, table, start, now, this.#asking)
      // The next dump removes it from the list.
      else connection.destroyed = true
    }
  }

  /**
   * Sets TCP_RTO_MAX_MS only, through `Arming`, which has already set keepalive. The value before
   * was the kernel's default. It is restored, because with short timeouts the kernel may end a
   * living connection on a path with much loss.
   */
  exchange(connection: Connection, settings: KernelSettings): KernelSettings {
    this.set(connection, settings.filter(isRetransmitMax))
    return settings.filter(isRetransmitMax).map(([option]) => [option, LONGEST_RETRANSMIT_MAX])
  }

  set(connection: Connection, settings: KernelSettings): void {
    for (const [option, value] of settings) {
      if (option === 'TCP_RTO_MAX_MS') {
        // The kernel's default is in force until another value is set.
        if (value === (connection.retransmitMax ?? LONGEST_RETRANSMIT_MAX)) continue
        connection.retransmitMax = value
      }
      this.#arming?.setOption(this.#connections, connection, option, value)
    }
  }

  // No bytes wait in this process.
  pending = (): number => 0
  progress = (): number => 0
  // The guard itself ends a connection that is reported dead, because it must know whether that has
  // worked.
  reset(): void {}
}

const isRetransmitMax = ([option]: KernelSettings[number]): boolean => option === 'TCP_RTO_MAX_MS'
