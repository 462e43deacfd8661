// Servers that are the workers of one node:cluster.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Fleet } from './fleet.js'

interface Answer {
  ports?: number[]
  published?: number
  code?: string
  killed?: number
  reads?: number
}

export async function clusterFleet(servers: number): Promise<Fleet> {
  const program = fileURLToPath(new URL('./cluster-process.ts', import.meta.url))
  const primary = spawn(process.execPath, ['--import', 'tsx', program], {
    env: { ...process.env, SERVERS: String(servers) },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const waiting = new Map<number, { resolve(): void; reject(error: unknown): void }>()
  let reads = 0
  let kills = 0
  // Otherwise answers would be awaited for ever.
  const ended = new Promise<never>((_, reject) => {
    primary.once('exit', (code, signal) =>
      reject(new Error(`the primary ended: ${code ?? signal}`)),
    )
  })
  ended.catch(() => {})
  const next = (fits: (answer: Answer) => boolean): Promise<Answer> => {
    const found = new Promise<Answer>((resolve) => {
      const listener = (answer: Answer): void => {
        if (!fits(answer)) return
        primary.off('message', listener)
        resolve(answer)
      }
      primary.on('message', listener)
    })
    return Promise.race([found, ended])
  }
  primary.on('message', ({ published, code, reads: more }: Answer) => {
    if (more !== undefined) reads = more
    if (published === undefined) return
    const asked = waiting.get(published)
    waiting.delete(published)
    if (code === undefined) asked?.resolve()
    else asked?.reject(Object.assign(new Error(code), { code }))
  })
  const { ports = [] } = await next((answer) => answer.ports !== undefined)
  return {
    ports: () => ports,
    publish: (n) =>
      new Promise((resolve, reject) => {
        waiting.set(n, { resolve, reject })
        ended.catch(reject)
        primary.send({ publish: n })
      }),
    async killOne() {
      // Numbered: on a busy machine the next server is killed before the last one has been replaced.
      const kill = ++kills
      const killed = next((answer) => answer.killed === kill)
      primary.send({ kill })
      await killed
    },
    async reads() {
      let left = servers
      const all = next((answer) => answer.reads !== undefined && --left === 0)
      primary.send({ reads: true })
      await all
      return reads
    },
    async stop() {
      if (primary.connected) primary.disconnect()
      await ended.catch(() => {})
    },
  }
}
