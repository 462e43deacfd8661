// Options set once on a listening socket, and the connections that are born with them.
import cluster from 'node:cluster'
import type { Server, Socket } from 'node:net'
import type { MonitorPlan } from '../liveness/plan.js'
import { getKernelOption } from '../native/binding.js'
import { type KernelOption, type KernelSettings, setOptions } from '../tcp/kernel-settings.js'
import { applyToListener, type KeepAliveOptions } from '../tcp/options.js'
import type { GuardSettings } from './options.js'

/** The options of one server's listening socket, through all its listens and closes. */
export class ListenerOptions {
  readonly #server: Server
  readonly #settings: GuardSettings
  #before: KernelSettings | undefined

  constructor(server: Server, settings: GuardSettings) {
    this.#server = server
    this.#settings = settings
  }

  /** Whether connections are born with the guard's options. */
  get active(): boolean {
    return this.#before !== undefined
  }

  /** Sets the options on the listening socket, where there is one and it is this process's own. */
  begin(): void {
    // Workers may share the socket: one that puts its options back would take them from all the others.
    if (cluster.isWorker) return
    const { keepAlive, userTimeout, retransmitMax } = this.#settings.plan
    this.#before = applyToListener(this.#server, {
      keepAlive,
      userTimeout,
      retransmitMax: retransmitMax || undefined,
      notSentLowWater: this.#settings.notSentLowWater,
    })
  }

  /** The listening socket is closed: the next one is another. */
  forget(): void {
    this.#before = undefined
  }

  /** Puts the listening socket's options back. */
  restore(): void {
    if (this.#before !== undefined) setOptions(this.#server, this.#before)
    this.#before = undefined
  }

  /**
   * For a connection that was born with the options, what it would have without them of those that can end a living
   * connection; otherwise `undefined`. Asked of the kernel, at one system call: a connection that waited to be accepted
   * when the options were set has none of them, nor has one whose listening socket another process has changed since.
   */
  optionsBefore(socket: Socket): KernelSettings | undefined {
    if (this.#before === undefined) return undefined
    const { userTimeout, keepAlive } = this.#settings.plan
    const born =
      userTimeout === false
        ? !isProbedLess(socket, keepAlive)
        : getKernelOption(socket, 'TCP_USER_TIMEOUT') === Math.ceil(userTimeout)
    return born ? limitsOf(this.#before) : undefined
  }
}

/**
 * What gives a connection up. The kernel goes by them after a close too, and takes a client that is slow to read the rest
 * for a dead one: an orphan of TCP_RTO_MAX_MS 1 s behind a shut window lives for two seconds.
 */
const LIMITS: readonly KernelOption[] = ['TCP_RTO_MAX_MS', 'TCP_USER_TIMEOUT']

/** Those of some options that give a connection up. */
export function limitsOf(settings: KernelSettings): KernelSettings {
  return settings.filter(([option]) => LIMITS.includes(option))
}

/** Whether a connection asks its peer later or more seldom than it should: foreign code sets keepalive too. */
export function isProbedLess(socket: Socket, keepAlive: MonitorPlan['keepAlive']): boolean {
  if (keepAlive === false) return false
  const { idle, interval }: KeepAliveOptions = keepAlive
  return (
    getKernelOption(socket, 'SO_KEEPALIVE') !== 1 ||
    getKernelOption(socket, 'TCP_KEEPIDLE') > Math.ceil(idle / 1000) ||
    getKernelOption(socket, 'TCP_KEEPINTVL') > Math.ceil(interval / 1000)
  )
}
