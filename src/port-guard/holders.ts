// Finds which process holds a socket, and under which descriptor. proc(5).
import { readdirSync, readlinkSync } from 'node:fs'

/** A descriptor of a process. */
export interface Held {
  readonly pid: number
  readonly fd: number
}

/**
 * Finds the holders of sockets. It remembers the processes in which it has found any, because
 * further sockets are usually there, too.
 */
export class Holders {
  readonly #known = new Set<number>()
  /** Whether the descriptors of some process could not be read. */
  unreadable = false

  /** The holder of each socket, by inode. Sockets without a visible holder are missing. */
  find(inodes: ReadonlySet<number>): Map<number, Held> {
    const found = new Map<number, Held>()
    for (const pid of this.#known) {
      if (found.size < inodes.size && !this.#search(pid, inodes, found)) this.#known.delete(pid)
    }
    if (found.size === inodes.size) return found
    this.unreadable = false
    for (const name of listing('/proc')) {
      const pid = Number(name)
      if (!Number.isInteger(pid) || this.#known.has(pid) || found.size === inodes.size) continue
      const before = found.size
      this.#search(pid, inodes, found)
      if (found.size > before) this.#known.add(pid)
    }
    return found
  }

  /** Returns whether the process exists. */
  #search(pid: number, inodes: ReadonlySet<number>, found: Map<number, Held>): boolean {
    const folder = `/proc/${pid}/fd`
    try {
      for (const fd of readdirSync(folder)) {
        const inode = this.#inodeOf(`${folder}/${fd}`)
        if (inode !== undefined && inodes.has(inode) && !found.has(inode))
          found.set(inode, { pid, fd: Number(fd) })
      }
      return true
    } catch (error) {
      this.#note(error)
      return false
    }
  }

  #inodeOf(path: string): number | undefined {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(path))?.[1]
      return inode === undefined ? undefined : Number(inode)
    } catch (error) {
      // Closed after the folder was read. Or root may list the folder, but without CAP_SYS_PTRACE not read the links.
      this.#note(error)
      return undefined
    }
  }

  #note(error: unknown): void {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') this.unreadable = true
  }
}

function listing(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
