// Keepalive on connections that belong to somebody else, and other options where one of them needs it.
import type { MonitorPlan } from '../liveness/plan.js'
import { diagColumn, type SocketId, setOptionsOf, TIMER_KEEPALIVE } from '../tcp/diag.js'
import type { KernelOption, KernelSettings } from '../tcp/kernel-settings.js'
import { settingsOf } from '../tcp/options.js'
import { column } from '../tcp/record.js'
import type { Connection, Connections, ListeningSocket } from './connections.js'
import { type Held, Holders } from './holders.js'

/** So often a server may undo on a connection what we have set, or be sought in /proc, until we leave it alone. */
const ATTEMPTS = 3
/** Rounding of the kernel's clocks, ms. */
const TOLERANCE = 1_000

/** How arming goes. */
export interface ArmingState {
  /** Listening sockets that are armed: what they accept is born with the options. */
  readonly listeners: number
  /** Connections that were armed one by one. */
  readonly connections: number
  /** What stood in the way, in one sentence; `undefined` where nothing did. */
  readonly problem: string | undefined
}

/** Sets what the plan says on listening sockets and on connections that have not inherited it. */
export class Arming {
  readonly #settings: KernelSettings
  /** Milliseconds of quiet until keepalive asks. */
  readonly #idle: number
  readonly #holders = new Holders()
  /** Cookies of the listening sockets that are armed, or that could not be. */
  readonly #seen = new Map<number, boolean>()
  readonly #attempts = new WeakMap<Connection, number>()
  /** Where connections were found, and how often one was sought for. */
  readonly #held = new WeakMap<Connection, Held>()
  readonly #searches = new WeakMap<Connection, number>()
  #connections = 0
  #problem: string | undefined

  constructor({ keepAlive }: MonitorPlan) {
    this.#idle = keepAlive === false ? 0 : keepAlive.idle
    this.#settings = settingsOf({ keepAlive })
  }

  get state(): ArmingState {
    const listeners = [...this.#seen.values()].filter(Boolean).length
    return { listeners, connections: this.#connections, problem: this.#problem }
  }

  /** Arms listening sockets that were not there before. Returns whether all were armed before: what they accept inherits it. */
  armListeners(listening: readonly ListeningSocket[]): boolean {
    const fresh = listening.filter(({ cookie }) => !this.#seen.has(cookie))
    const inherited = this.#seen.size > 0 && [...this.#seen.values()].every(Boolean)
    if (fresh.length === 0) return inherited
    const cookies = new Set(listening.map(({ cookie }) => cookie))
    for (const cookie of this.#seen.keys()) if (!cookies.has(cookie)) this.#seen.delete(cookie)
    const held = this.#holders.find(new Set(fresh.map(({ inode }) => inode)))
    for (const { id, cookie, inode } of fresh)
      this.#seen.set(cookie, this.#set(held.get(inode), id, this.#settings))
    return false
  }

  /**
   * Arms those of the connections that the latest dump shows not to be. Returns those that are armed now; the others are
   * looked at again when the next dump tells more of them.
   */
  armConnections(all: Connections, wanted: Iterable<Connection>): Set<Connection> {
    const byInode = new Map<number, Connection>()
    for (const connection of wanted) {
      const attempts = this.#attempts.get(connection) ?? 0
      if (attempts >= ATTEMPTS) continue
      this.#attempts.set(connection, attempts + 1)
      byInode.set(all.cell(connection, diagColumn.inode), connection)
    }
    const armed = new Set<Connection>()
    if (byInode.size === 0) return armed
    const held = this.#holders.find(new Set(byInode.keys()))
    for (const [inode, connection] of byInode) {
      const place = held.get(inode)
      if (!this.#set(place, connection.id, this.#settings)) continue
      if (place !== undefined) this.#held.set(connection, place)
      armed.add(connection)
    }
    this.#connections += armed.size
    return armed
  }

  /**
   * Whether keepalive is off on a connection, or asks later than it should: many servers set it themselves after they have
   * accepted. Told by the time until it fires, which counts from the last sign of life at most; `false` where that says nothing.
   */
  isMissing(all: Connections, connection: Connection): boolean {
    if (!all.has(connection)) return false
    if (all.cell(connection, column.outq) > 0) return false
    const timer = all.cell(connection, diagColumn.timer)
    if (timer === 0) return true
    if (timer !== TIMER_KEEPALIVE || all.cell(connection, column.probes) > 0) return false
    const quiet = Math.min(
      all.cell(connection, column.lastAckReceived),
      all.cell(connection, column.lastDataReceived),
    )
    return all.cell(connection, diagColumn.expires) + quiet > this.#idle + TOLERANCE
  }

  /** Sets an option of one connection, where its process can be found. */
  setOption(all: Connections, connection: Connection, option: KernelOption, value: number): void {
    const held = this.#held.get(connection) ?? this.#search(all, connection)
    if (held === undefined) return
    // It has another descriptor by now, or another process has it.
    if (!this.#set(held, connection.id, [[option, value]])) this.#held.delete(connection)
  }

  /** One pass over /proc, which takes long where a process has thousands of descriptors: for all whose place is not known. */
  #search(all: Connections, connection: Connection): Held | undefined {
    const searches = this.#searches.get(connection) ?? 0
    if (searches >= ATTEMPTS || !all.has(connection)) return undefined
    this.#searches.set(connection, searches + 1)
    const byInode = new Map<number, Connection>()
    for (const each of all) {
      if (all.has(each) && !this.#held.has(each))
        byInode.set(all.cell(each, diagColumn.inode), each)
    }
    const found = this.#holders.find(new Set(byInode.keys()))
    for (const [inode, held] of found) this.#held.set(byInode.get(inode) as Connection, held)
    return this.#held.get(connection)
  }

  #set(held: Held | undefined, id: SocketId, settings: KernelSettings): boolean {
    if (held === undefined) {
      this.#problem = this.#holders.unreadable
        ? 'The server’s descriptors in /proc may not be read: arming needs CAP_SYS_PTRACE and, for another user than root, CAP_DAC_READ_SEARCH.'
        : 'The server’s process is not to be seen in /proc: arming needs its PID namespace.'
      return false
    }
    const result = setOptionsOf(held.pid, held.fd, id, settings)
    if (result === -EPERM) {
      this.#problem = `Process ${held.pid} may not be traced: arming needs CAP_SYS_PTRACE (or the same user, where ptrace_scope allows it).`
    } else if (result === -ENOSYS) {
      this.#problem = 'This kernel has no pidfd_getfd: arming needs Linux 5.6.'
    } else if (result !== 0 && !ENDED.has(result)) {
      this.#problem = `Options of process ${held.pid} cannot be set (${result}).`
    }
    return result === 0
  }
}

const EPERM = 1
const ENOSYS = 38
/** ESRCH, EBADF, ESTALE, ENOTSOCK: process or socket has ended since it was found. */
const ENDED: ReadonlySet<number> = new Set([-3, -9, -88, -116])
