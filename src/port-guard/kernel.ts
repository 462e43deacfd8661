// What the monitor needs of sockets, for sockets of other processes.
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
  samples = 0

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

  sample(connections: readonly Connection[], table: Table, starts: readonly number[]): void {
    if (!this.#isFresh()) {
      this.#ask(connections, table, starts)
      return
    }
    const { rows } = this.#connections
    const now = this.#now()
    for (const [index, connection] of connections.entries()) {
      const start = starts[index] as number
      if (rows === undefined || !this.#connections.has(connection)) {
        table.set(start, column.errno, Number.NaN)
        continue
      }
      copyRow(rows, connection.row, table, start)
      const age = Math.max(0, now - this.#connections.madeAt(connection))
      readRow(connection, table, start, age, now, this.#asking)
    }
  }

  /** The bytes written so far, where the latest dump shows that nothing is outstanding. */
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
    // No memory or no descriptor for the question: a look that tells nothing changes nothing.
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
      if (table.get(start, column.errno) === 0)
        readRow(connection, table, start, 0, now, this.#asking)
      // The next dump takes it off the list.
      else connection.destroyed = true
    }
  }

  /**
   * Only what `Arming` sets on single connections; it has set keepalive. What was in force before TCP_RTO_MAX_MS is the kernel's
   * default: with short timeouts the kernel may end a living connection on a path that loses much, so it is put back.
   */
  exchange(connection: Connection, settings: KernelSettings): KernelSettings {
    this.set(connection, settings.filter(isRetransmitMax))
    return settings.filter(isRetransmitMax).map(([option]) => [option, LONGEST_RETRANSMIT_MAX])
  }

  set(connection: Connection, settings: KernelSettings): void {
    for (const [option, value] of settings) {
      if (option === 'TCP_RTO_MAX_MS') {
        // The kernel's default is in force until something else is wanted.
        if (value === (connection.retransmitMax ?? LONGEST_RETRANSMIT_MAX)) continue
        connection.retransmitMax = value
      }
      this.#arming?.setOption(this.#connections, connection, option, value)
    }
  }

  // Nothing waits in our user space.
  pending = (): number => 0
  progress = (): number => 0
  // The guard ends a connection when it is told of its death: it has to know whether that has worked.
  reset(): void {}
}

const isRetransmitMax = ([option]: KernelSettings[number]): boolean => option === 'TCP_RTO_MAX_MS'
