// TCP sockets of the network namespace, whoever holds them: what sock_diag tells, and the end of a connection. Linux.
import { TcpSseError } from '../internal/errors.js'
import { addon, addonMissing } from '../native/binding.js'
import type { KernelSettings } from './kernel-settings.js'

/** Rows about sockets: the columns of `COLUMNS`, then those of `diagColumn`. */
export interface DiagRows {
  readonly numbers: Float64Array
  /** Numbers a row. */
  readonly width: number
  readonly count: number
}

/**
 * Which socket is meant: family, ports, addresses, interface, cookie, as native/diag.h has them. The kernel gives no cookie
 * twice, so this never means a later connection with the same addresses.
 */
export type SocketId = Uint32Array

const fields = addon?.diagFields ?? []
const width = fields.length
const at = (name: string): number => fields.indexOf(name)

/** Where each column stands that sock_diag adds; -1 without an addon. */
export const diagColumn = Object.freeze({
  /** The first of the words of the socket's id. */
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

/** Places in a `SocketId`. */
const FAMILY = 0
const LOCAL_PORT = 1
const REMOTE_PORT = 2
const LOCAL = 3
const REMOTE = 7
const COOKIE = 12

/** `diagColumn.timer` of a socket whose next timer is keepalive's. */
export const TIMER_KEEPALIVE = 2

let found = new Float64Array(0)

/**
 * All TCP sockets whose local port is one of these and whose state is in the mask (bit N for state N), of both families. What
 * comes or goes meanwhile may be missing, or there twice.
 *
 * @param reuse - the rows of an earlier dump, to be written over
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
      // A kernel without IPv6.
      if (total === -ENOENT && family === AF_INET6) break
      if (total < 0) throw refused('a dump of sockets', total)
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
 * A row for each id; the column `errno` is not 0 where there is no such socket any more. Valid until the next call.
 *
 * @throws {TcpSseError} `ERR_SOCK_DIAG`
 */
export function findSockets(ids: readonly SocketId[]): DiagRows {
  const { findSockets: find } = needAddon()
  const words = new Uint32Array(ids.length * ID_WORDS)
  for (const [index, id] of ids.entries()) words.set(id, index * ID_WORDS)
  if (found.length < ids.length * width) found = new Float64Array(ids.length * 2 * width)
  const result = find(words, ids.length, found)
  if (result < 0) throw refused('a look at a socket', result)
  return { numbers: found, width, count: ids.length }
}

/**
 * Ends a connection of anybody: RST to the peer, ECONNABORTED for the process that holds it.
 *
 * @returns 0, or -errno: `GONE` where it has ended by itself
 */
export function destroySocket(id: SocketId): number {
  return needAddon().destroySocket(id)
}

/** -ENOENT: there is no such socket any more. The kernel says so of a later one with the same addresses, too. */
export const GONE = -2

/**
 * Why no connection can be ended here, in one sentence; `undefined` where it can. Tries it, with a socket of its own.
 */
export function whyNoDestroy(): string | undefined {
  if (addon === undefined) return addonMissing
  const result = addon.probeDestroy()
  if (result === -EPERM) return 'Ending connections of others needs CAP_NET_ADMIN.'
  if (result === -EOPNOTSUPP)
    return 'This kernel was built without CONFIG_INET_DIAG_DESTROY: it ends no connections of others.'
  // Loopback may be down in a namespace; then the first connection will tell.
  return result === 0 || result === -EADDRNOTAVAIL
    ? undefined
    : `Ending connections of others fails here (${result}).`
}

/** Why sockets of others cannot be seen here, in one sentence; `undefined` where they can. */
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
 * Sets options on a socket that another process holds under descriptor `fd`. Options that this kernel does not have are
 * passed over.
 *
 * @returns 0, or -errno: EPERM without the right to trace the process, ESTALE where the descriptor is another socket by now
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

/** The id in a row. */
export function idOf({ numbers, width }: DiagRows, index: number): SocketId {
  const start = index * width + diagColumn.id
  return Uint32Array.from(numbers.subarray(start, start + ID_WORDS))
}

/** The cookie in a row as one number; the kernel counts from 1. */
export function cookieOf({ numbers, width }: DiagRows, index: number): number {
  const start = index * width + diagColumn.cookie
  return (numbers[start] as number) + (numbers[start + 1] as number) * 2 ** 32
}

/** An address and a port. */
export interface Endpoint {
  /** An IPv4 address for a mapped one, too. */
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

/** Words in network order, as the kernel keeps them: their bytes are the address. */
function addressAt(id: SocketId, start: number): string {
  const bytes = new Uint8Array(id.buffer, id.byteOffset + start * 4, 16)
  if (id[FAMILY] === AF_INET) return bytes.subarray(0, 4).join('.')
  const mapped = bytes.subarray(0, 12).join() === '0,0,0,0,0,0,0,0,0,0,255,255'
  return mapped ? bytes.subarray(12).join('.') : ipv6(bytes)
}

/** RFC 5952: the longest run of zeros is left out. */
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
  throw new TcpSseError('ERR_SOCK_DIAG', `Sockets of others cannot be seen: ${addonMissing}`)
}

function refused(what: string, errno: number): TcpSseError {
  return new TcpSseError('ERR_SOCK_DIAG', `The kernel refused ${what} (${errno}).`, {
    errno,
    syscall: 'sock_diag',
  })
}

const EPERM = 1
const ENOENT = 2
const EOPNOTSUPP = 95
const EADDRNOTAVAIL = 99
