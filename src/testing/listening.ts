// Finds where a process listens, from the kernel's tables, so that a server under test need not
// report it.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** A listening TCP socket. */
export interface Listener {
  readonly port: number
  /** Whether it accepts connections from other hosts, too. */
  readonly reachable: boolean
}

const LISTEN = '0A'

/**
 * The listening sockets of a process, in the kernel's order. proc(5): /proc/PID/net/tcp shows the
 * process's own namespace.
 */
export function listenersOf(pid: number): Listener[] {
  const mine = socketsOf(pid)
  return ['tcp', 'tcp6'].flatMap((table) =>
    rows(`/proc/${pid}/net/${table}`)
      .filter((row) => row[3] === LISTEN && mine.has(row[9] as string))
      .map((row) => listener(row[1] as string)),
  )
}

/** The states in such tables, except LISTEN and TIME_WAIT. */
export function busySockets(tables: string): string[] {
  return tables
    .split('\n')
    .map((line) => line.trim().split(/\s+/)[3] ?? '')
    .filter((state) => /^[0-9A-F]{2}$/.test(state) && state !== LISTEN && state !== '06')
}

function socketsOf(pid: number): Set<string> {
  const inodes = new Set<string>()
  try {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1]
      if (inode !== undefined) inodes.add(inode)
    }
  } catch {
    // The process has just ended, or is changing its user.
  }
  return inodes
}

/** A descriptor may have been closed in the meantime. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

function rows(path: string): string[][] {
  try {
    const lines = readFileSync(path, 'latin1').trim().split('\n').slice(1)
    return lines.map((line) => line.trim().split(/\s+/))
  } catch {
    return []
  }
}

/** Parses `0100007F:1F90`: 32-bit words in the machine's byte order, then the port. */
function listener(local: string): Listener {
  const [address = '', port = ''] = local.split(':')
  const loopback = /^.{6}7F$|^0{24}01000000$/.test(address)
  return { port: Number.parseInt(port, 16), reachable: !loopback }
}
