// The servers of a run.
import { type ChildProcessHandle, startProcess } from '../../src/testing/index.js'
import type { EngineServer } from '../../test/support/engine-servers.js'
import { freePort } from '../../test/support/ports.js'
import type { EngineName } from './engine.js'

/** Several servers over one engine, which may be killed and started again on their ports. */
export class Cluster {
  readonly ports: number[] = []
  readonly #peers: ChildProcessHandle[] = []
  readonly #name: EngineName
  readonly #engine: EngineServer

  constructor(name: EngineName, engine: EngineServer) {
    this.#name = name
    this.#engine = engine
  }

  async start(index: number): Promise<void> {
    this.ports[index] ??= await freePort()
    const peer = startProcess(new URL('./server.ts', import.meta.url))
    this.#peers[index] = peer
    await peer.call('start', this.#name, this.#engine.port, this.ports[index])
  }

  kill(index: number): void {
    this.#peers[index]?.stop()
  }

  async outcomes(): Promise<Record<string, number>> {
    const sum: Record<string, number> = {}
    for (const peer of this.#peers) {
      const outcomes = await peer.call<Record<string, number>>('outcomes')
      for (const [name, count] of Object.entries(outcomes)) sum[name] = (sum[name] ?? 0) + count
    }
    return sum
  }

  /** Subscribers, or `undefined` for a server that is not there. */
  sizes(): Promise<(number | undefined)[]> {
    return Promise.all(this.#peers.map((peer) => peer.call<number>('size').catch(() => undefined)))
  }

  close(): void {
    for (const peer of this.#peers) peer.stop()
  }
}
