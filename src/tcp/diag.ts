// TCP sockets of the network namespace, of any process: reads them over sock_diag and ends connections. Linux.
import { TcpSseError } from '../internal/errors.js'
import { addon, addonMissing } from '../native/binding.js'
import type { KernelSettings } from './kernel-settings.js'

/** Rows about sockets: the columns of `COLUMNS`, then those of `diagColumn`. */
export interface DiagRows {
  readonly numbers: Float64Array
  /** The number of columns in a row. */
  readonly width: number
  readonly count: number
}

/**
 * The kernel's id of a socket: family, ports, addresses, interface, cookie, as in native/diag.h. The kernel never
 * reuses a cookie, so an id never refers to a later connection with the same addresses.
 */
export type SocketId = Uint32Array

const fields = addon?.diagFields ?? []
const width = fields.length
const at = (name: string): number => fields.indexOf(name)

/** The index of each column that sock_diag adds; -1 without the addon. */
export const diagColumn = Object.freeze({
  /** The first word of the socket's id. */
  id: at('family'),
  localPort: at('local_port'),
  cookie: at('cookie_0'),
  inode: at('inode'),
  rqueue: at('rqueue'),
  timer: at('timer'),
  expires: at('expires'),
})

const ID_WORDS = diagColumn.inode - diagColumn.id
const AF_INET = 2
const AF_INET6 = 10

/** Indices in a `SocketId`. */
const FAMILY = 0
const LOCAL_PORT = 1
const REMOTE_PORT = 2
const LOCAL = 3
const REMOTE = 7
const COOKIE = 12

/** The value of `diagColumn.timer` if the socket's next timer is keepalive's. */
export const TIMER_KEEPALIVE = 2

let found = new Float64Array(0)

/**
 * Returns all TCP sockets of both families whose local port is in `ports` and whose state is in the mask (bit N for
 * state N). A socket that is opened or closed during the dump may be missing or appear twice.
 *
 * @param reuse - the rows of an earlier dump, which are overwritten
 * @throws {TcpSseError} `ERR_SOCK_DIAG`
 */
export function dumpSockets(ports: readonly number[], states: number, reuse?: DiagRows): DiagRows {
  const { dumpSockets: dump } = needAddon()
  const list = Int32Array.from(ports)
  let numbers = reuse?.numbers ?? new Float64Array(0)
  let count = 0
  for (const family of [AF_INET, AF_INET6]) {
    for (;;) {
      const free = numbers.subarray(count * width)
      const total = dump(family, states, list, list.length, free)
      // The kernel has no IPv6.
      if (total === -ENOENT && family === AF_INET6) break
      if (total < 0) throw refused('to list sockets', total)
      if (total <= Math.floor(free.length / width)) {
        count += total
        break
      }
      const larger = new Float64Array((count + total + 64) * 2 * width)
      larger.set(numbers)
      numbers = larger
    }
  }
  return { numbers, width, count }
}

/**
 * Returns a row for each id. The column `errno` is not 0 if the socket no longer exists. The rows are valid until the
 * next call.
 *
 * @throws {TcpSseError} `ERR_SOCK_DIAG`
 */
export function findSockets(ids: readonly SocketId[]): DiagRows {
  const { findSockets: find } = needAddon()
  const words = new Uint32Array(ids.length * ID_WORDS)
  for (const [index, id] of ids.entries()) words.set(id, index * ID_WORDS)
  if (found.length < ids.length * width) found = new Float64Array(ids.length * 2 * width)
  const result = find(words, ids.length, found)
  if (result < 0) throw refused('to read a socket', result)
  return { numbers: found, width, count: ids.length }
}

/**
 * Ends a connection of any process: the peer gets RST, the process that holds the socket gets ECONNABORTED.
 *
 * @returns 0 or -errno; `GONE` if the connection has already ended
 */
export function destroySocket(id: SocketId): number {
  return needAddon().destroySocket(id)
}

/** -ENOENT: the socket no longer exists. The kernel also returns this if a later socket has the same addresses. */
export const GONE = -2

/**
 * Why connections cannot be ended on this system, in one sentence; `undefined` if they can. Tries it with a temporary
 * socket.
 */
export function whyNoDestroy(): string | undefined {
  if (addon === undefined) return addonMissing
  const result = addon.probeDestroy()
  if (result === -EPERM) return 'Ending connections of other processes requires CAP_NET_ADMIN.'
  if (result === -EOPNOTSUPP)
    return 'This kernel cannot end connections of other processes: it was built without CONFIG_INET_DIAG_DESTROY.'
  // In a namespace, loopback may be down. The first connection then shows whether it works.
  return result === 0 || result === -EADDRNOTAVAIL
    ? undefined
    : `Ending connections of other processes fails on this system (${result}).`
}

/** Why sockets of other processes cannot be read on this system, in one sentence; `undefined` if they can. */
export function whyNoDump(): string | undefined {
  if (addon === undefined) return addonMissing
  try {
    dumpSockets([1], 0)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/**
 * Sets options on a socket that another process holds under descriptor `fd`. Skips options that this kernel does not
 * have.
 *
 * @returns 0 or -errno: EPERM without the right to trace the process, ESTALE if the descriptor now refers to another
 * socket, EBUSY if the socket has a TCP_USER_TIMEOUT: keepalive would then end it after that time
 */
export function setOptionsOf(
  pid: number,
  fd: number,
  id: SocketId,
  settings: KernelSettings,
): number {
  const { options, setOptionsOf: set } = needAddon()
  const triples = settings.flatMap(([option, value]) => [options.indexOf(option), value, 0])
  return set(pid, fd, id.subarray(COOKIE), Int32Array.from(triples), settings.length)
}

/**
 * The reason why no process can use pidfd_getfd(2) here, even with all privileges; `undefined` if a process with
 * CAP_SYS_PTRACE can use it. A seccomp profile can refuse it, such as Docker's default one. A process may take
 * descriptors of its own without a privilege.
 */
export function whyNoTaking(): string | undefined {
  if (addon === undefined) return addonMissing
  const result = setOptionsOf(process.pid, 0, new Uint32Array(ID_WORDS), [])
  if (result === -ENOSYS) return 'This kernel has no pidfd_getfd. It needs Linux 5.6 or later'
  if (result === -EPERM) return 'A seccomp profile refuses pidfd_getfd'
  return undefined
}

/** The id of the socket in a row. */
export function idOf({ numbers, width }: DiagRows, index: number): SocketId {
  const start = index * width + diagColumn.id
  return Uint32Array.from(numbers.subarray(start, start + ID_WORDS))
}

/** The cookie of the socket in a row, as one number. The kernel counts from 1. */
export function cookieOf({ numbers, width }: DiagRows, index: number): number {
  const start = index * width + diagColumn.cookie
  return (numbers[start] as number) + (numbers[start + 1] as number) * 2 ** 32
}

/** An address and a port. */
export interface Endpoint {
  /** An IPv4-mapped IPv6 address is shown as an IPv4 address. */
  readonly address: string
  readonly port: number
}

/** The server's side of a connection. */
export function localOf(id: SocketId): Endpoint {
  return { address: addressAt(id, LOCAL), port: id[LOCAL_PORT] as number }
}

/** The client's side of a connection. */
export function remoteOf(id: SocketId): Endpoint {
  return { address: addressAt(id, REMOTE), port: id[REMOTE_PORT] as number }
}

/** The words are in network order, as in the kernel, so their bytes are the address. */
function addressAt(id: SocketId, start: number): string {
  const bytes = new Uint8Array(id.buffer, id.byteOffset + start * 4, 16)
  if (id[FAMILY] === AF_INET) return bytes.subarray(0, 4).join('.')
  const mapped = bytes.subarray(0, 12).join() === '0,0,0,0,0,0,0,0,0,0,255,255'
  return mapped ? bytes.subarray(12).join('.') : ipv6(bytes)
}

/** Formats as in RFC 5952: the longest run of zeros is omitted. */
function ipv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] as number) << 8) | (bytes[2 * i + 1] as number)).toString(16),
  )
  const runs = [...groups.join(':').matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].map(([run]) => run)
  const longest = runs.reduce((a, b) => (b.length > a.length ? b : a), '')
  if (longest === '') return groups.join(':')
  const text = groups.join(':').replace(longest, '::')
  return text.replace(/:{3,}/, '::')
}

function needAddon(): NonNullable<typeof addon> {
  if (addon !== undefined) return addon
  throw new TcpSseError(
    'ERR_SOCK_DIAG',
    `Sockets of other processes cannot be read: ${addonMissing}`,
  )
}

function refused(what: string, errno: number): TcpSseError {
  return new TcpSseError('ERR_SOCK_DIAG', `The kernel refused ${what} (errno ${-errno}).`, {
    errno,
    syscall: 'sock_diag',
  })
}

const EPERM = 1
const ENOSYS = 38
const ENOENT = 2
const EOPNOTSUPP = 95
const EADDRNOTAVAIL = 99
