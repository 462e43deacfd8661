// A rig with one server and its clients, which several claims share: each claim has its own clients, paths and cuts.
import { existsSync } from 'node:fs'
import { type ChildProcessHandle, Rig } from '../../src/testing/index.js'
import { HALT } from './claim.js'
import type { ServerHealth } from './server.js'

/** The time at which a halted server was at work again. */
export interface Halt {
  readonly returned: Promise<number>
}

/** What the claims of one rig share. */
export class House {
  readonly rig: Rig
  readonly server: ChildProcessHandle
  readonly clients: ChildProcessHandle
  #guards: ChildProcessHandle | undefined
  readonly #halts: ((returned: Promise<number>) => void)[] = []
  #waitedFor: number
  #claims = 0
  #nextClient = 0

  /** @param halting - how many of its claims wait for the server's halt, which is one for all of them */
  constructor(smallWindows: boolean, halting = 0) {
    this.rig = new Rig(smallWindows ? { tcpRmem: '4096 16384 16384' } : {})
    this.#waitedFor = halting
    this.server = this.rig.spawnServer(moduleBeside('server'))
    this.clients = this.rig.spawnClients(moduleBeside('clients'))
  }

  /** The guards of ports, in the server's namespace. They start with the first claim that asks for them. */
  get guards(): ChildProcessHandle {
    this.#guards ??= this.rig.spawnServer(moduleBeside('port-guards'))
    return this.#guards
  }

  /** Blocks the loops of all that watch connections. */
  async block(milliseconds: number): Promise<void> {
    await Promise.all([
      this.server.call('block', milliseconds),
      this.#guards?.call('block', milliseconds),
    ])
  }

  /** What went wrong beside the claims, and the longest time for which the server's loop stood still, ms. */
  async health(): Promise<{ problems: string[]; longestDelay: number }> {
    const { problems, longestDelay } = await this.server.call<ServerHealth>('health')
    const ofGuards = (await this.#guards?.call<string[]>('problems')) ?? []
    return { problems: [...problems, ...ofGuards], longestDelay }
  }

  /** A number for a claim, and numbers for its clients. */
  enter(count: number): { claim: number; indexes: number[] } {
    const from = this.#nextClient
    this.#nextClient += count
    return {
      claim: this.#claims++,
      indexes: Array.from({ length: count }, (_, index) => from + index),
    }
  }

  /** Settles when every claim that waits for the halt has come here, and the server stands still. */
  halt(how: 'stopped' | 'blocked'): Promise<Halt> {
    return new Promise((resolve) => {
      this.#halts.push((returned) => resolve({ returned }))
      this.#haltWhenAllWait(how)
    })
  }

  /** A claim that will not come to the halt any more: the others need not wait for it. */
  leave(how: 'stopped' | 'blocked'): void {
    this.#waitedFor--
    this.#haltWhenAllWait(how)
  }

  #haltWhenAllWait(how: 'stopped' | 'blocked'): void {
    if (this.#halts.length === 0 || this.#halts.length < this.#waitedFor) return
    const returned = how === 'stopped' ? this.#stop() : this.#block()
    for (const tell of this.#halts.splice(0)) tell(returned)
  }

  async #stop(): Promise<number> {
    this.server.signal('SIGSTOP')
    await new Promise((resolve) => setTimeout(resolve, HALT))
    this.server.signal('SIGCONT')
    return Date.now()
  }

  async #block(): Promise<number> {
    await this.server.call('block', HALT)
    return Date.now()
  }

  close(): void {
    this.rig.close()
  }
}

/** A module of this folder, as it is or bundled. */
function moduleBeside(name: string): URL {
  const source = new URL(`./${name}.ts`, import.meta.url)
  return existsSync(source) ? source : new URL(`./${name}.js`, import.meta.url)
}
