// The interface to the load generator.
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { program } from './build.js'

/** What it has counted and used. */
export interface LoadReport {
  readonly bytes: number
  /** Connections that the server closed. */
  readonly closed: number
  /** CPU seconds. */
  readonly user: number
  readonly system: number
}

/** Open connections, which read everything. */
export class Clients {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>

  private constructor(core: string, port: number, count: number, path: string) {
    const args = ['-c', core, program('client'), String(port), String(count), path]
    this.#child = spawn('taskset', args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /** Opens connections. Settles when each has received its response head. */
  static async open(core: string, port: number, count: number, path: string): Promise<Clients> {
    const clients = new Clients(core, port, count, path)
    const { value } = await clients.#lines.next()
    if (value !== 'open') throw new Error(`the load generator said: ${value}`)
    return clients
  }

  /** CPU seconds that it has used so far (proc(5), stat: fields 14 and 15, in USER_HZ). */
  cpu(): number {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  }

  /** Closes all of them. */
  async close(): Promise<LoadReport> {
    this.#child.stdin.end()
    const { value } = await this.#lines.next()
    if (this.#child.exitCode === null) await once(this.#child, 'exit')
    return JSON.parse(value as string) as LoadReport
  }
}
