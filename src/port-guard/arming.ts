// Sets keepalive, and one other option, on connections that belong to other processes.
import type { MonitorPlan } from '../liveness/plan.js'
import { diagColumn, type SocketId, setOptionsOf, TIMER_KEEPALIVE } from '../tcp/diag.js'
import type { KernelOption, KernelSettings } from '../tcp/kernel-settings.js'
import { settingsOf } from '../tcp/options.js'
import { column } from '../tcp/record.js'
import type { Connection, Connections, ListeningSocket } from './connections.js'
import { type Held, Holders } from './holders.js'

/**
 * How often the guard arms a connection that its server disarms, or searches /proc for it, before
 * it stops trying.
 */
const ATTEMPTS = 3
/** Rounding of the kernel's clocks, in milliseconds. */
const TOLERANCE = 1_000

/** The state of arming. */
export interface ArmingState {
  /** Armed listening sockets. The connections that they accept inherit the options. */
  readonly listeners: number
  /** Connections that were armed individually. */
  readonly connections: number
  /** What prevented arming, in one sentence; `undefined` if nothing did. */
  readonly problem: string | undefined
}

/**
 * Sets the plan's options on listening sockets, and on connections that have not inherited them.
 */
export class Arming {
  readonly #settings: KernelSettings
  /** Milliseconds of quiet after which keepalive probes the peer. */
  readonly #idle: number
  readonly #holders = new Holders()
  /** By cookie of each listening socket: whether it could be armed. */
  readonly #seen = new Map<number, boolean>()
  readonly #attempts = new WeakMap<Connection, number>()
  /** The holders of connections that were found, and how often each connection was searched for. */
  readonly #held = new WeakMap<Connection, Held>()
  readonly #searches = new WeakMap<Connection, number>()
  #connections = 0
  #listenerProblem: string | undefined
  #connectionProblem: string | undefined

  constructor({ keepAlive }: MonitorPlan) {
    this.#idle = keepAlive === false ? 0 : keepAlive.idle
    this.#settings = settingsOf({ keepAlive })
  }

  get state(): ArmingState {
    const listeners = [...this.#seen.values()].filter(Boolean).length
    return {
      listeners,
      connections: this.#connections,
      problem: this.#listenerProblem ?? this.#connectionProblem,
    }
  }

  /**
   * Arms new listening sockets. Returns whether all were already armed, so that accepted
   * connections have inherited the options.
   */
  armListeners(listening: readonly ListeningSocket[]): boolean {
    const fresh = listening.filter(({ cookie }) => !this.#seen.has(cookie))
    const inherited = this.#seen.size > 0 && [...this.#seen.values()].every(Boolean)
    if (fresh.length === 0) return inherited
    const cookies = new Set(listening.map(({ cookie }) => cookie))
    for (const cookie of this.#seen.keys()) if (!cookies.has(cookie)) this.#seen.delete(cookie)
    const held = this.#holders.find(new Set(fresh.map(({ inode }) => inode)))
    this.#listenerProblem = undefined
    for (const { id, cookie, inode } of fresh) {
      const problem = this.#set(held.get(inode), id, this.#settings)
      this.#listenerProblem ??= problem || undefined
      this.#seen.set(cookie, problem === undefined)
    }
    return false
  }

  /**
   * Arms those of the connections that are not armed according to the latest dump. Returns those
   * that are armed now. The next dump shows whether the others are.
   */
  armConnections(all: Connections, wanted: Iterable<Connection>): Set<Connection> {
    const byInode = new Map<number, Connection>()
    const again = new Set<Connection>()
    for (const connection of wanted) {
      const attempts = this.#attempts.get(connection) ?? 0
      if (attempts >= ATTEMPTS) continue
      this.#attempts.set(connection, attempts + 1)
      if (attempts > 0) again.add(connection)
      byInode.set(all.cell(connection, diagColumn.inode), connection)
    }
    const armed = new Set<Connection>()
    if (byInode.size === 0) return armed
    const held = this.#holders.find(new Set(byInode.keys()))
    for (const [inode, connection] of byInode) {
      const place = held.get(inode)
      const problem = this.#set(place, connection.id, this.#settings)
      // A connection that cannot be found may have ended since the dump.
      if (problem && (place !== undefined || again.has(connection)))
        this.#connectionProblem = problem
      if (problem !== undefined) continue
      if (place !== undefined) this.#held.set(connection, place)
      armed.add(connection)
    }
    this.#connections += armed.size
    return armed
  }

  /**
   * Whether keepalive is off on a connection, or probes later than it should. Many servers set it
   * themselves after they have accepted a connection. The guard derives this from the time until
   * the keepalive timer fires, which counts from the last sign of life at most. Returns `false` if
   * that cannot be known.
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

  /** Sets an option of one connection, if its process can be found. */
  setOption(all: Connections, connection: Connection, option: KernelOption, value: number): void {
    const held = this.#held.get(connection) ?? this.#search(all, connection)
    if (held === undefined) return
    // The connection has another descriptor now, or is held by another process.
    if (this.#set(held, connection.id, [[option, value]]) !== undefined)
      this.#held.delete(connection)
  }

  /**
   * Searches /proc for all connections whose holder is not known. One pass takes long if a process
   * has thousands of descriptors.
   */
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

  /**
   * Sets options of a socket.
   *
   * @returns `undefined` if they are set; else why they are not, in one sentence, which is empty if the socket has ended
   */
  #set(held: Held | undefined, id: SocketId, settings: KernelSettings): string | undefined {
    if (held === undefined) {
      return this.#holders.unreadable
        ? "The guard may not read the server's descriptors in /proc. Arming needs CAP_SYS_PTRACE and, if the guard does not run as root, CAP_DAC_READ_SEARCH."
        : "The server's process is not visible in /proc. Run the guard in the server's PID namespace."
    }
    const result = setOptionsOf(held.pid, held.fd, id, settings)
    if (result === 0) return undefined
    if (ENDED.has(result)) return ''
    if (result === -EPERM)
      return `The guard may not trace process ${held.pid}. Arming needs CAP_SYS_PTRACE (or the same user, if ptrace_scope allows it), and a seccomp profile that allows pidfd_getfd.`
    if (result === -ENOSYS)
      return 'This kernel has no pidfd_getfd. Arming needs Linux 5.6 or later.'
    if (result === -EBUSY)
      return `Process ${held.pid} has set TCP_USER_TIMEOUT. With keepalive, the kernel would end idle clients after that time, so the guard does not set keepalive.`
    return `Options of process ${held.pid} cannot be set (${result}).`
  }
}

const EPERM = 1
const ENOSYS = 38
const EBUSY = 16
/** ESRCH, EBADF, ESTALE, ENOTSOCK: the process or the socket has ended since it was found. */
const ENDED: ReadonlySet<number> = new Set([-3, -9, -88, -116])
