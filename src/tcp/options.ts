// Converts socket options from milliseconds and bytes to the kernel's units.
import type { Server, Socket } from 'node:net'
import { TcpSseError } from '../internal/errors.js'
import {
  boolean,
  type Checks,
  checkOptions,
  duration,
  integer,
  nested,
  orFalse,
} from '../internal/validate.js'
import {
  addon,
  fdOf,
  getKernelOption,
  isPipe,
  setKernelOption,
  socketOf,
} from '../native/binding.js'
import { LONGEST_RETRANSMIT_MAX } from '../native/kernel-defaults.js'
import {
  exchangeOptions,
  type KernelOption,
  type KernelSettings,
  setKeepAliveWithoutAddon,
} from './kernel-settings.js'

/** When and how often the kernel probes an idle peer. tcp(7). */
export interface KeepAliveOptions {
  /**
   * Milliseconds of silence before the first probe. The kernel counts in seconds (TCP_KEEPIDLE), so the value is
   * rounded up. 1 to 32 767 000.
   */
  idle: number
  /**
   * Milliseconds between unanswered probes. The kernel counts in seconds (TCP_KEEPINTVL), so the value is rounded up.
   * 1 to 32 767 000.
   */
  interval: number
  /**
   * Unanswered probes after which the kernel gives up. TCP_KEEPCNT, 1 to 127. The kernel ignores it while `userTimeout`
   * is set.
   */
  count: number
}

/** Options of a connection, named by their effect. An absent option is not changed. */
export interface SocketOptions {
  /**
   * TCP_USER_TIMEOUT in milliseconds, rounded up; `false` sets the kernel's default (0). The kernel ends the connection
   * if data is unacknowledged for this long. It also ends a connection whose window stays closed for this long, so see
   * docs/liveness.md before you set it. Linux >= 2.6.37, RFC 5482.
   */
  userTimeout?: number | false | undefined
  /** SO_KEEPALIVE with its three numbers; `false` disables probing. */
  keepAlive?: KeepAliveOptions | false | undefined
  /**
   * TCP_RTO_MAX_MS: the longest pause between retransmits, and between probes of a closed window. 1 000 to 120 000 ms,
   * Linux >= 6.15.
   */
  retransmitMax?: number | undefined
  /** TCP_NODELAY: whether small writes are sent at once. */
  noDelay?: boolean | undefined
  /**
   * TCP_NOTSENT_LOWAT in bytes: how many unsent bytes the kernel accepts. `false` sets the kernel's default,
   * `net.ipv4.tcp_notsent_lowat`. Linux >= 3.12.
   */
  notSentLowWater?: number | false | undefined
  /** SO_SNDBUF in bytes. The kernel doubles the value (socket(7)) and no longer tunes the buffer. */
  sendBuffer?: number | undefined
}

/** The name of an option of `SocketOptions`. */
export type SocketOptionName = keyof SocketOptions

/** The result of `applySocketOptions`. */
export interface AppliedOptions {
  /**
   * Which options are in force:
   * - `applied`: all options are in force.
   * - `partly`: the options in `skipped` are not.
   * - `destroyed`: the socket has been closed or, with the addon, is not open yet; nothing was set.
   */
  readonly status: 'applied' | 'partly' | 'destroyed'
  /** The options that are in force now. */
  readonly applied: readonly SocketOptionName[]
  /** The options that are not in force, each with a short reason. */
  readonly skipped: Readonly<Partial<Record<SocketOptionName, string>>>
}

const SECONDS = { min: 1, max: 32_767_000 }
const INT_MAX = 2 ** 31 - 1

const keepAliveChecks: Checks<KeepAliveOptions> = {
  idle: duration(SECONDS),
  interval: duration(SECONDS),
  count: integer('probes', { min: 1, max: 127 }),
}

/** Checks that keepalive has all three numbers. A missing one would keep the value that other code has set. */
export function checkKeepAlive(value: unknown, name: string): KeepAliveOptions {
  const given = nested(keepAliveChecks)(value, name)
  for (const part of ['idle', 'interval', 'count'] as const) {
    if (given[part] === undefined) {
      throw new TcpSseError('ERR_OPTION_TYPE', `${name} needs idle, interval and count.`, {
        option: `${name}.${part}`,
      })
    }
  }
  return given
}

/** Checks that the options of streams and plans share. */
export const checkUserTimeout = orFalse(duration())
export const checkRetransmitMax = duration({ min: 1_000, max: LONGEST_RETRANSMIT_MAX })
export const checkNotSentLowWater = integer('bytes', { min: 1, max: INT_MAX })

const checks: Checks<SocketOptions> = {
  userTimeout: checkUserTimeout,
  keepAlive: orFalse(checkKeepAlive),
  retransmitMax: checkRetransmitMax,
  noDelay: boolean,
  notSentLowWater: orFalse(checkNotSentLowWater),
  sendBuffer: integer('bytes', { min: 1, max: INT_MAX / 2 }),
}

/**
 * Sets options on any connection: a `net.Socket` over IPv4 or IPv6, a TLS socket, or the socket of an HTTP/2 session.
 * Skips options that do not exist for a Unix socket, on this system or without the addon; the result lists them.
 *
 * Applies the options in the given order. If one fails, those before it stay set.
 *
 * @throws {TcpSseError} `ERR_NOT_A_SOCKET`. `ERR_OPTION_UNKNOWN`, `ERR_OPTION_TYPE`, `ERR_OPTION_VALUE` before anything
 * is set. `ERR_SOCKET_OPTION` if the kernel rejects a value.
 * @example
 * applySocketOptions(socket, { userTimeout: 20_000, keepAlive: { idle: 10_000, interval: 5_000, count: 3 } })
 */
export function applySocketOptions(socket: Socket, options: SocketOptions): AppliedOptions {
  const target = socketOf(socket)
  const wanted = checkOptions(options, checks, 'SocketOptions')
  const applied: SocketOptionName[] = []
  const skipped: Partial<Record<SocketOptionName, string>> = {}
  if (target.destroyed || (addon !== undefined && fdOf(target) < 0)) {
    return { status: 'destroyed', applied, skipped }
  }
  for (const name of Object.keys(wanted) as SocketOptionName[]) {
    const problem = applyOne(target, name, wanted)
    if (problem === undefined) applied.push(name)
    else skipped[name] = problem
  }
  return { status: Object.keys(skipped).length === 0 ? 'applied' : 'partly', applied, skipped }
}

/**
 * Reads the current value of every option that `applySocketOptions` sets, with the same names and units, so that the
 * result can be set again. An option that this system or this kind of socket does not have is absent. All are absent
 * without the addon, and on a socket that has no descriptor any more, or not yet.
 *
 * `sendBuffer` is half of the kernel's value, because the kernel doubles what is set (socket(7)). Until it is set, the
 * kernel tunes it, so the value may change at any time.
 *
 * @throws {TcpSseError} `ERR_NOT_A_SOCKET`
 * @example
 * const { userTimeout, keepAlive } = readSocketOptions(socket)
 * console.log(userTimeout, keepAlive) // false false, or milliseconds and { idle, interval, count }
 */
export function readSocketOptions(socket: Socket): SocketOptions {
  const target = socketOf(socket)
  const ask = (option: KernelOption): number | undefined => {
    const value = getKernelOption(target, option)
    return value < 0 ? undefined : value
  }
  const noDelay = ask('TCP_NODELAY')
  const sendBuffer = ask('SO_SNDBUF')
  const all: SocketOptions = {
    userTimeout: orOff(ask('TCP_USER_TIMEOUT')),
    keepAlive: keepAliveIn(ask),
    retransmitMax: ask('TCP_RTO_MAX_MS'),
    noDelay: noDelay === undefined ? undefined : noDelay !== 0,
    notSentLowWater: orOff(ask('TCP_NOTSENT_LOWAT')),
    sendBuffer: sendBuffer === undefined ? undefined : Math.ceil(sendBuffer / 2),
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

/** The kernel uses 0 for its default. */
function orOff(value: number | undefined): number | false | undefined {
  return value === 0 ? false : value
}

function keepAliveIn(
  ask: (option: KernelOption) => number | undefined,
): SocketOptions['keepAlive'] {
  const [idle, interval, count] = [ask('TCP_KEEPIDLE'), ask('TCP_KEEPINTVL'), ask('TCP_KEEPCNT')]
  // A Unix socket has SO_KEEPALIVE, but without any effect.
  if (idle === undefined || interval === undefined || count === undefined) return undefined
  if (ask('SO_KEEPALIVE') === 0) return false
  return { idle: idle * 1_000, interval: interval * 1_000, count }
}

/** The kernel's options and values for the given options, in the order in which they are set. */
export function settingsOf(options: SocketOptions): KernelSettings {
  const given = (Object.keys(options) as SocketOptionName[]).filter(
    (name) => options[name] !== undefined,
  )
  return given.flatMap((name) => kernelSettings(name, options))
}

/**
 * Sets options on a listening socket. Every connection whose handshake completes from then on inherits them.
 *
 * @returns the previous values, for `setOptions`; `undefined` if the listener cannot be set (no addon, no descriptor,
 * not TCP), so that each connection needs its own options
 */
export function applyToListener(
  server: Server,
  options: SocketOptions,
): KernelSettings | undefined {
  if (addon === undefined || fdOf(server) < 0 || isPipe(server)) return undefined
  return exchangeOptions(server, settingsOf(options))
}

/** Applies one checked option. Returns why it is not possible on this system, or `undefined`. */
function applyOne(
  socket: Socket,
  name: SocketOptionName,
  wanted: SocketOptions,
): string | undefined {
  if (addon === undefined) return applyWithoutAddon(socket, name, wanted)
  for (const [option, value] of kernelSettings(name, wanted)) {
    const result = setKernelOption(socket, option, value)
    if (result === 0) continue
    if (UNSUPPORTED.has(-result)) {
      return isPipe(socket) ? 'not a TCP socket' : `this kernel has no ${option}`
    }
    throw new TcpSseError(
      'ERR_SOCKET_OPTION',
      `The kernel rejected ${option} = ${value} (errno ${-result}).`,
      {
        option: name,
        errno: result,
        syscall: 'setsockopt',
      },
    )
  }
  return undefined
}

/** ENOPROTOOPT and EOPNOTSUPP on Linux. */
const UNSUPPORTED = new Set([92, 95])

/** The kernel's options and values for one option, in the order in which they are set. */
function kernelSettings(name: SocketOptionName, wanted: SocketOptions): KernelSettings {
  switch (name) {
    case 'userTimeout':
      return [['TCP_USER_TIMEOUT', wanted.userTimeout ? Math.ceil(wanted.userTimeout) : 0]]
    case 'keepAlive': {
      const { keepAlive } = wanted
      if (!keepAlive) return [['SO_KEEPALIVE', 0]]
      return [
        ['SO_KEEPALIVE', 1],
        ['TCP_KEEPIDLE', seconds(keepAlive.idle)],
        ['TCP_KEEPINTVL', seconds(keepAlive.interval)],
        ['TCP_KEEPCNT', keepAlive.count],
      ]
    }
    case 'retransmitMax':
      return [['TCP_RTO_MAX_MS', Math.ceil(wanted.retransmitMax ?? 0)]]
    case 'noDelay':
      return [['TCP_NODELAY', wanted.noDelay ? 1 : 0]]
    case 'notSentLowWater':
      return [['TCP_NOTSENT_LOWAT', wanted.notSentLowWater || 0]]
    case 'sendBuffer':
      return [['SO_SNDBUF', wanted.sendBuffer ?? 0]]
  }
}

/** The kernel counts keepalive in seconds. Rounding down could result in 0, which it rejects. */
function seconds(milliseconds: number): number {
  return Math.ceil(milliseconds / 1000)
}

/** Applies an option through Node. */
function applyWithoutAddon(
  socket: Socket,
  name: SocketOptionName,
  wanted: SocketOptions,
): string | undefined {
  // Node's setters silently do nothing for a pipe.
  if (isPipe(socket)) return 'not a TCP socket'
  if (name === 'noDelay') {
    socket.setNoDelay(wanted.noDelay)
    return undefined
  }
  if (name === 'keepAlive') return setKeepAliveWithoutAddon(socket, kernelSettings(name, wanted))
  return 'needs the addon'
}
