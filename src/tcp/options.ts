// Socket options: milliseconds and bytes in, kernel units out.
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

/** When and how often the kernel asks an idle peer whether it is there. tcp(7). */
export interface KeepAliveOptions {
  /** Milliseconds of silence before the first probe. TCP_KEEPIDLE counts seconds: rounded up. 1..32 767 s. */
  idle: number
  /** Milliseconds between unanswered probes. TCP_KEEPINTVL counts seconds: rounded up. 1..32 767 s. */
  interval: number
  /** Unanswered probes until the kernel gives up (TCP_KEEPCNT, 1..127). Ignored while `userTimeout` is set. */
  count: number
}

/** Options of a connection, each by what it does. An absent one is left as it is. */
export interface SocketOptions {
  /**
   * TCP_USER_TIMEOUT in milliseconds, rounded up; `false` sets the kernel's default (0). Data unacknowledged
   * for that long ends the connection, and so does a window that stays shut: see docs/liveness.md before
   * setting it by hand. Linux >= 2.6.37, RFC 5482.
   */
  userTimeout?: number | false | undefined
  /** SO_KEEPALIVE with its three numbers; `false` switches probing off. */
  keepAlive?: KeepAliveOptions | false | undefined
  /** TCP_RTO_MAX_MS: the longest pause between retransmits, and between probes of a shut window. 1 000..120 000 ms, Linux >= 6.15. */
  retransmitMax?: number | undefined
  /** TCP_NODELAY: send small writes at once. */
  noDelay?: boolean | undefined
  /**
   * TCP_NOTSENT_LOWAT in bytes: how many unsent bytes the kernel takes before it refuses more. `false` sets the kernel's
   * default, `net.ipv4.tcp_notsent_lowat`. Linux >= 3.12.
   */
  notSentLowWater?: number | false | undefined
  /** SO_SNDBUF in bytes. The kernel doubles it (socket(7)) and stops tuning the buffer by itself. */
  sendBuffer?: number | undefined
}

/** The name of an option of `SocketOptions`. */
export type SocketOptionName = keyof SocketOptions

/** What `applySocketOptions` did. */
export interface AppliedOptions {
  /**
   * `applied`: all of them. `partly`: those that are not in `skipped`. `destroyed`: the socket has no
   * descriptor any more (or not yet), nothing was called.
   */
  readonly status: 'applied' | 'partly' | 'destroyed'
  /** The options that are in force now. */
  readonly applied: readonly SocketOptionName[]
  /** Those that are not, each with the reason in a few words. */
  readonly skipped: Readonly<Partial<Record<SocketOptionName, string>>>
}

const SECONDS = { min: 1, max: 32_767_000 }
const INT_MAX = 2 ** 31 - 1

const keepAliveChecks: Checks<KeepAliveOptions> = {
  idle: duration(SECONDS),
  interval: duration(SECONDS),
  count: integer('probes', { min: 1, max: 127 }),
}

/** Keepalive takes all three numbers: two would leave the third to whoever set it last. */
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

/** The checks of the options that a stream can override too. */
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
 * Sets options on any connection: a `net.Socket` over IPv4 or IPv6, a TLS socket, the socket of an HTTP/2
 * session. On a Unix socket, on another system or without the addon the options that do not exist there are
 * skipped, and the result says so.
 *
 * Options are applied in the order given and not rolled back.
 *
 * @throws {TcpSseError} `ERR_NOT_A_SOCKET`; `ERR_OPTION_UNKNOWN`, `ERR_OPTION_TYPE`, `ERR_OPTION_VALUE` before
 * anything is set; `ERR_SOCKET_OPTION` where the kernel refuses a value
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
 * Reads every option that `applySocketOptions` sets, as it is in force, in the same names and units: what it gives can be
 * set again. An option that this system or this kind of socket does not have is absent. Without the addon all are, and
 * on a socket that has no descriptor any more (or not yet).
 *
 * `sendBuffer` is half of what the kernel says, which doubles what is set (socket(7)). It is a moment's value as long as
 * nothing has set it.
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

/** 0 is the kernel's word for its default. */
function orOff(value: number | undefined): number | false | undefined {
  return value === 0 ? false : value
}

function keepAliveIn(
  ask: (option: KernelOption) => number | undefined,
): SocketOptions['keepAlive'] {
  const [idle, interval, count] = [ask('TCP_KEEPIDLE'), ask('TCP_KEEPINTVL'), ask('TCP_KEEPCNT')]
  // A Unix socket has SO_KEEPALIVE and nothing that it could do.
  if (idle === undefined || interval === undefined || count === undefined) return undefined
  if (ask('SO_KEEPALIVE') === 0) return false
  return { idle: idle * 1_000, interval: interval * 1_000, count }
}

/** The kernel's options and values of those that are given, in the order in which they are set. */
export function settingsOf(options: SocketOptions): KernelSettings {
  const given = (Object.keys(options) as SocketOptionName[]).filter(
    (name) => options[name] !== undefined,
  )
  return given.flatMap((name) => kernelSettings(name, options))
}

/**
 * Sets options on a listening socket: every connection whose handshake ends from then on is born with them.
 *
 * @returns what was in force before, for `setOptions`; `undefined` where the listener cannot be asked (no addon, no
 * descriptor, no TCP) and each connection needs its own
 */
export function applyToListener(
  server: Server,
  options: SocketOptions,
): KernelSettings | undefined {
  if (addon === undefined || fdOf(server) < 0 || isPipe(server)) return undefined
  return exchangeOptions(server, settingsOf(options))
}

/** Applies one option that has been checked; returns why it could not be done here. */
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
    throw new TcpSseError('ERR_SOCKET_OPTION', `${option} = ${value} was refused (${result}).`, {
      option: name,
      errno: result,
      syscall: 'setsockopt',
    })
  }
  return undefined
}

/** ENOPROTOOPT and EOPNOTSUPP on Linux. */
const UNSUPPORTED = new Set([92, 95])

/** One row per option: the kernel's options and values, in the order in which they are set. */
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

/** The kernel counts keepalive in seconds; rounding down could make 0 of it, and 0 is refused. */
function seconds(milliseconds: number): number {
  return Math.ceil(milliseconds / 1000)
}

/** What Node can do by itself. */
function applyWithoutAddon(
  socket: Socket,
  name: SocketOptionName,
  wanted: SocketOptions,
): string | undefined {
  // Node's own setters do nothing there, and say nothing.
  if (isPipe(socket)) return 'not a TCP socket'
  if (name === 'noDelay') {
    socket.setNoDelay(wanted.noDelay)
    return undefined
  }
  if (name === 'keepAlive') return setKeepAliveWithoutAddon(socket, kernelSettings(name, wanted))
  return 'needs the addon'
}
