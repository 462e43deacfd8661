// The only file that calls the native addon's loader or reads a private field of Node.
//
// A file descriptor is read at each use: after a close the kernel gives the number to the next connection, and a stored one
// would silently write to a stranger's socket. Only a cohort's row keeps one (transport/fast/cohort.ts), and whatever closes the
// handle clears that row first, in the same call (native/handle.ts).
import type { ServerResponse } from 'node:http'
import { type Server, Socket } from 'node:net'
import { TcpSseError } from '../internal/errors.js'
import { type Addon, loadAddon } from './load-addon.js'

/** The kernel options that this library sets, by their kernel names. */
export type KernelOption =
  | 'SO_KEEPALIVE'
  | 'SO_LINGER'
  | 'SO_SNDBUF'
  | 'TCP_KEEPCNT'
  | 'TCP_KEEPIDLE'
  | 'TCP_KEEPINTVL'
  | 'TCP_NODELAY'
  | 'TCP_NOTSENT_LOWAT'
  | 'TCP_RTO_MAX_MS'
  | 'TCP_USER_TIMEOUT'

const { addon: loaded, reason } = loadAddon()

/** The addon, or `undefined` where there is none. */
export const addon: Addon | undefined = loaded

/** Why there is no addon, in one sentence. */
export const addonMissing: string | undefined = reason

/**
 * Whether Node's own `setKeepAlive` takes an interval and a count (Node 24 and 26 do): asked by its arity, since further
 * arguments are ignored in silence by those that do not.
 */
export const nodeSetsProbes: boolean = Socket.prototype.setKeepAlive.length >= 4

/**
 * The real socket behind `value`: itself, or for the proxy that `Http2Session.socket` is, what it stands for.
 *
 * @throws {TcpSseError} `ERR_NOT_A_SOCKET`
 */
export function socketOf(value: unknown): Socket {
  if (!(value instanceof Socket)) {
    throw new TcpSseError('ERR_NOT_A_SOCKET', 'A net.Socket (or a TLS or HTTP/2 one) is needed.')
  }
  // An emitter's methods return the emitter; called through the proxy that is the socket itself.
  return value.removeListener('tcp-sse', nothing)
}

/**
 * The descriptor of a socket, or of a server's listening socket, at this moment. -1 where it has none: destroyed, not
 * connected, not listening, Windows, a worker of cluster's round-robin, whose listener is no socket.
 */
export function fdOf(socket: Socket | Server): number {
  // The handle goes with the descriptor: `destroy` takes it off the socket before anything else can run.
  const fd = handleOf(socket)?.fd
  return typeof fd === 'number' && fd >= 0 ? fd : -1
}

/** Bytes that libuv holds because the kernel would not take them yet. */
export function libuvQueueOf(socket: Socket): number {
  return handleOf(socket)?.writeQueueSize ?? 0
}

/**
 * Starts Node's timer of an idle socket again, as each write through Node's streams does. `req.setTimeout`,
 * `res.setTimeout` and `socket.setTimeout` all set this one.
 */
export function noteActivity(socket: Socket): void {
  if (socket.timeout) (socket as unknown as { _unrefTimer(): void })._unrefTimer()
}

/** Who counts the bytes that go to the kernel past Node's streams, which therefore have not counted them. */
export interface DirectCount {
  direct: number
}

/** Known to every copy of this library: streams of several may follow each other on a connection. */
const DIRECT = Symbol.for('tcp-sse.direct')

interface DirectSocket extends Socket {
  [DIRECT]?: DirectCount
}

/** From now on this one counts for the socket, where the one before it left off. */
export function countsFor(socket: DirectSocket, count: DirectCount): void {
  count.direct = directOf(socket)
  socket[DIRECT] = count
}

function directOf(socket: DirectSocket): number {
  return socket[DIRECT]?.direct ?? 0
}

/** Where the next byte stands that is written to the socket, in the connection's outgoing bytes. */
export function wireOffset(socket: DirectSocket): number {
  return socket.bytesWritten + directOf(socket)
}

/** Bytes that the kernel has been given so far; NaN where the handle is not plain TCP. */
export function handedOf(socket: DirectSocket): number {
  const handle = handleOf(socket)
  if (handle?.constructor?.name !== 'TCP') return Number.NaN
  const viaLibuv = (handle.bytesWritten ?? Number.NaN) - (handle.writeQueueSize ?? 0)
  return viaLibuv + directOf(socket)
}

/** A number that grows with the bytes that have left user space; of any handle, TLS included. */
export function progressOf(socket: Socket): number {
  const handle = handleOf(socket)
  return (handle?.bytesWritten ?? 0) - (handle?.writeQueueSize ?? 0)
}

/**
 * A number that every write changes, TLS's and HTTP/2's own included. NaN where something waits in user space or where
 * Node does not read, and so would not hear of the peer's end.
 */
export function activityOf(socket: DirectSocket): number {
  const handle = handleOf(socket)
  if (handle?.reading !== true || socket.isPaused() || socket.writableLength > 0) return Number.NaN
  return (handle.bytesWritten ?? Number.NaN) + directOf(socket)
}

/** `0`, or `-errno`; `-EBADF` for a socket without a descriptor. Only with an addon. */
export function setKernelOption(
  socket: Socket | Server,
  option: KernelOption,
  value: number,
): number {
  const fd = fdOf(socket)
  if (addon === undefined || fd < 0) return -EBADF
  return addon.setOption(fd, indexOf(option), value)
}

/** The value, or `-errno`; `-EBADF` for a socket without a descriptor. Only with an addon. */
export function getKernelOption(socket: Socket | Server, option: KernelOption): number {
  const fd = fdOf(socket)
  if (addon === undefined || fd < 0) return -EBADF
  return addon.getOption(fd, indexOf(option))
}

/**
 * Sets several options with one native call, in order. Three numbers a setting: option, value, outcome, which is 0 or `-errno`,
 * or with `save` what was in force before or `-errno`. Valid until the next call; empty for a socket without a descriptor.
 */
export function changeKernelOptions(
  socket: Socket | Server,
  settings: readonly (readonly [option: KernelOption, value: number])[],
  save: boolean,
): Int32Array {
  const fd = fdOf(socket)
  if (addon === undefined || fd < 0) return NONE
  if (changes.length < settings.length * 3) changes = new Int32Array(settings.length * 3)
  let at = 0
  for (const [option, value] of settings) {
    changes[at] = indexOf(option)
    changes[at + 1] = value
    at += 3
  }
  addon.setOptions(fd, changes, settings.length, save ? 1 : 0)
  return changes
}

let changes = new Int32Array(32)
const NONE = new Int32Array(0)

/** Whether the running kernel knows an option. */
export function kernelKnows(option: KernelOption): boolean {
  let answer = knownOptions.get(option)
  if (answer === undefined) {
    answer = addon !== undefined && addon.probeOption(indexOf(option)) === 0
    knownOptions.set(option, answer)
  }
  return answer
}

/** The kernel is asked once for each option: the question costs a socket. */
const knownOptions = new Map<KernelOption, boolean>()

/**
 * Ends a connection with RST: nothing stays behind in the kernel, neither FIN_WAIT1 nor a queue.
 *
 * `resetAndDestroy()` throws on TLS and HTTP/2 sockets in Node 20, so the kernel is asked directly:
 * SO_LINGER of 0 makes `close(2)` send a reset (socket(7)). Without an addon those two only get destroyed.
 */
export function resetConnection(socket: Socket): void {
  if (socket.destroyed) return
  if (setKernelOption(socket, 'SO_LINGER', 0) === 0) {
    socket.destroy()
  } else if (handleOf(socket)?.constructor?.name === 'TCP') {
    socket.resetAndDestroy()
  } else {
    socket.destroy()
  }
}

/**
 * The head that an HTTP/1 response has sent, as text. `undefined` before it, and where the response is not Node's own.
 * Headers that go straight to `writeHead` are found nowhere else: `getHeader` does not know them.
 */
export function sentHeadOf(response: ServerResponse): string | undefined {
  const { _header: head } = response as unknown as { _header?: unknown }
  return typeof head === 'string' ? head : undefined
}

/** Whether this is a Unix domain socket or a named pipe: TCP's options and clocks do not exist there. */
export function isPipe(socket: Socket | Server): boolean {
  return handleOf(socket)?.constructor?.name === 'Pipe'
}

/** Linux and most others; used only for "this socket is gone". */
const EBADF = 9

interface Handle {
  readonly fd?: number
  readonly writeQueueSize?: number
  readonly bytesWritten?: number
  readonly reading?: boolean
}

/** Node's handle of a socket or server; absent once it is closed. */
export function handleOf(socket: Socket | Server): Handle | null | undefined {
  return (socket as unknown as { _handle?: Handle | null })._handle
}

const indices = addon && new Map(addon.options.map((name, index) => [name, index]))

function nothing(): void {}

function indexOf(option: KernelOption): number {
  return indices?.get(option) ?? -1
}
