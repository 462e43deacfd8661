// The only file that calls the loader of the native addon or reads private fields of Node.
//
// A file descriptor is read at each use. After a close, the kernel gives the number to the next connection, so a stored
// one could write to another connection's socket. Only the row of a cohort stores one (transport/fast/cohort.ts). Any
// call that closes the handle clears that row first (native/handle.ts).
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

/** The addon; `undefined` if it is not loaded. */
export const addon: Addon | undefined = loaded

/** Why the addon is not loaded, in one sentence. */
export const addonMissing: string | undefined = reason

/**
 * Whether Node's own `setKeepAlive` accepts an interval and a count (Node 24 and 26 do). Detected by its number of
 * parameters, because other versions ignore additional arguments without an error.
 */
export const nodeSetsProbes: boolean = Socket.prototype.setKeepAlive.length >= 4

/**
 * Returns the real socket: `value` itself, or the socket behind the proxy `Http2Session.socket`.
 *
 * @throws {TcpSseError} `ERR_NOT_A_SOCKET`
 */
export function socketOf(value: unknown): Socket {
  if (!(value instanceof Socket)) {
    throw new TcpSseError(
      'ERR_NOT_A_SOCKET',
      'The value is not a socket. Pass a net.Socket, a tls.TLSSocket or the socket of an HTTP/2 session.',
    )
  }
  // The methods of an emitter return the emitter. Through the proxy, that is the socket itself.
  return value.removeListener('tcp-sse', nothing)
}

/**
 * The current descriptor of a socket or of a server's listening socket; -1 if it has none. This is the case for a
 * socket that is destroyed or not connected, a server that does not listen, on Windows, and in a cluster worker with
 * round-robin scheduling, where the listener is not a socket.
 */
export function fdOf(socket: Socket | Server): number {
  // The descriptor belongs to the handle, and `destroy` removes the handle from the socket synchronously.
  const fd = handleOf(socket)?.fd
  return typeof fd === 'number' && fd >= 0 ? fd : -1
}

/** Bytes that libuv holds because the kernel has not accepted them yet. */
export function libuvQueueOf(socket: Socket): number {
  return handleOf(socket)?.writeQueueSize ?? 0
}

/**
 * Restarts the idle timer of a socket, as each write through Node's streams does. `req.setTimeout`, `res.setTimeout`
 * and `socket.setTimeout` all set this timer.
 */
export function noteActivity(socket: Socket): void {
  if (socket.timeout) (socket as unknown as { _unrefTimer(): void })._unrefTimer()
}

/** Counts the bytes that were written to the kernel directly. Node's streams do not count them. */
export interface DirectCount {
  direct: number
}

/** Shared by all copies of this library, because their streams may follow each other on one connection. */
const DIRECT = Symbol.for('tcp-sse.direct')

interface DirectSocket extends Socket {
  [DIRECT]?: DirectCount
}

/** Makes `count` the counter of the socket. It continues from the value of the previous counter. */
export function countsFor(socket: DirectSocket, count: DirectCount): void {
  count.direct = directOf(socket)
  socket[DIRECT] = count
}

function directOf(socket: DirectSocket): number {
  return socket[DIRECT]?.direct ?? 0
}

/** The offset of the next byte written to the socket, among all bytes that the connection has sent. */
export function wireOffset(socket: DirectSocket): number {
  return socket.bytesWritten + directOf(socket)
}

/** Bytes passed to the kernel so far; NaN if the handle is not plain TCP. */
export function handedOf(socket: DirectSocket): number {
  const handle = handleOf(socket)
  if (handle?.constructor?.name !== 'TCP') return Number.NaN
  const viaLibuv = (handle.bytesWritten ?? Number.NaN) - (handle.writeQueueSize ?? 0)
  return viaLibuv + directOf(socket)
}

/** A number that grows with the bytes that have left user space. It works for any handle, including TLS. */
export function progressOf(socket: Socket): number {
  const handle = handleOf(socket)
  return (handle?.bytesWritten ?? 0) - (handle?.writeQueueSize ?? 0)
}

/**
 * A number that every write changes, including writes by TLS and HTTP/2 themselves. NaN if bytes wait in user space, or
 * if Node is not reading and therefore would not notice that the peer has ended the connection.
 */
export function activityOf(socket: DirectSocket): number {
  const handle = handleOf(socket)
  if (handle?.reading !== true || socket.isPaused() || socket.writableLength > 0) return Number.NaN
  return (handle.bytesWritten ?? Number.NaN) + directOf(socket)
}

/** Returns `0` or `-errno`; `-EBADF` for a socket without a descriptor, or without the addon. */
export function setKernelOption(
  socket: Socket | Server,
  option: KernelOption,
  value: number,
): number {
  const fd = fdOf(socket)
  if (addon === undefined || fd < 0) return -EBADF
  return addon.setOption(fd, indexOf(option), value)
}

/** Returns the value or `-errno`; `-EBADF` for a socket without a descriptor, or without the addon. */
export function getKernelOption(socket: Socket | Server, option: KernelOption): number {
  const fd = fdOf(socket)
  if (addon === undefined || fd < 0) return -EBADF
  return addon.getOption(fd, indexOf(option))
}

/**
 * Sets several options in order with one native call. The result has three numbers for each setting: option, value,
 * outcome. The outcome is 0 or `-errno`; with `save`, it is the previous value or `-errno`. The result is valid until
 * the next call. It is empty for a socket without a descriptor.
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

/** Whether the running kernel has an option. */
export function kernelKnows(option: KernelOption): boolean {
  let answer = knownOptions.get(option)
  if (answer === undefined) {
    answer = addon !== undefined && addon.probeOption(indexOf(option)) === 0
    knownOptions.set(option, answer)
  }
  return answer
}

/** The kernel is asked once for each option, because the question needs a socket. */
const knownOptions = new Map<KernelOption, boolean>()

/**
 * Ends a connection with RST. Nothing remains in the kernel, neither FIN_WAIT1 nor a send queue.
 *
 * `resetAndDestroy()` throws on TLS and HTTP/2 sockets in Node 20. This function therefore sets SO_LINGER to 0, so that
 * `close(2)` sends a reset (socket(7)). Without the addon, TLS and HTTP/2 sockets are only destroyed.
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
 * The head that an HTTP/1 response has sent, as text. `undefined` before it is sent, and if the response is not Node's
 * own. This is the only source for headers that were passed to `writeHead`: `getHeader` does not return them.
 */
export function sentHeadOf(response: ServerResponse): string | undefined {
  const { _header: head } = response as unknown as { _header?: unknown }
  return typeof head === 'string' ? head : undefined
}

/** Whether this is a Unix domain socket or a named pipe, which have none of TCP's options and clocks. */
export function isPipe(socket: Socket | Server): boolean {
  return handleOf(socket)?.constructor?.name === 'Pipe'
}

/** The value on Linux and most other systems. It is used only to mean "this socket is gone". */
const EBADF = 9

interface Handle {
  readonly fd?: number
  readonly writeQueueSize?: number
  readonly bytesWritten?: number
  readonly reading?: boolean
}

/** The handle of a socket or server; absent once it is closed. */
export function handleOf(socket: Socket | Server): Handle | null | undefined {
  return (socket as unknown as { _handle?: Handle | null })._handle
}

const indices = addon && new Map(addon.options.map((name, index) => [name, index]))

function nothing(): void {}

function indexOf(option: KernelOption): number {
  return indices?.get(option) ?? -1
}
