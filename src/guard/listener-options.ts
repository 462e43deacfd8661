// Options that are set once on a listening socket, and the connections that inherit them.
import cluster from 'node:cluster'
import type { Server, Socket } from 'node:net'
import type { MonitorPlan } from '../liveness/plan.js'
import { getKernelOption } from '../native/binding.js'
import { type KernelOption, type KernelSettings, setOptions } from '../tcp/kernel-settings.js'
import { applyToListener, type KeepAliveOptions } from '../tcp/options.js'
import type { GuardSettings } from './options.js'

/** The options of one server's listening socket, across all its `listen` and `close` calls. */
export class ListenerOptions {
  readonly #server: Server
  readonly #settings: GuardSettings
  #before: KernelSettings | undefined

  constructor(server: Server, settings: GuardSettings) {
    this.#server = server
    this.#settings = settings
  }

  /** Whether new connections inherit the guard's options. */
  get active(): boolean {
    return this.#before !== undefined
  }

  /**
   * Sets the options on the listening socket, if there is one and it belongs to this process only.
   */
  begin(): void {
    // Workers may share the socket. A worker that restores the options would remove them for all
    // the others.
    if (cluster.isWorker) return
    const { keepAlive, userTimeout, retransmitMax } = this.#settings.plan
    this.#before = applyToListener(this.#server, {
      keepAlive,
      userTimeout,
      retransmitMax: retransmitMax || undefined,
      notSentLowWater: this.#settings.notSentLowWater,
    })
  }

  /** Forgets the listening socket, which is closed. The next `listen` makes another one. */
  forget(): void {
    this.#before = undefined
  }

  /** Restores the listening socket's options. */
  restore(): void {
    if (this.#before !== undefined) setOptions(this.#server, this.#before)
    this.#before = undefined
  }

  /**
   * For a connection that inherited the options, the settings that it would have without them, of
   * those options that can end a living connection; otherwise `undefined`. It costs one system
   * call. A connection that was in the backlog when the options were set has not inherited them,
   * nor has one whose listening socket another process has changed since.
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
 * The options that can end a connection. The kernel applies them after a close, too, and then
 * treats a client that reads the rest slowly as dead: with TCP_RTO_MAX_MS of 1 s, an orphaned
 * connection behind a shut window lasts for two seconds.
 */
const LIMITS: readonly KernelOption[] = ['TCP_RTO_MAX_MS', 'TCP_USER_TIMEOUT']

/** Of some settings, those that can end a connection. */
export function limitsOf(settings: KernelSettings): KernelSettings {
  return settings.filter(([option]) => LIMITS.includes(option))
}

/**
 * Whether a connection probes its peer later or less often than it should, because application code
 * can set keepalive, too.
 */
export function isProbedLess(socket: Socket, keepAlive: MonitorPlan['keepAlive']): boolean {
  if (keepAlive === false) return false
  const { idle, interval }: KeepAliveOptions = keepAlive
  return (
    getKernelOption(socket, 'SO_KEEPALIVE') !== 1 ||
    getKernelOption(socket, 'TCP_KEEPIDLE') > Math.ceil(idle / 1000) ||
    getKernelOption(socket, 'TCP_KEEPINTVL') > Math.ceil(interval / 1000)
  )
}
