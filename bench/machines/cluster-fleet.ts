// Servers that are the workers of one node:cluster.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Fleet } from './fleet.js'

interface Answer {
  ports?: number[]
  published?: number
  code?: string
  killed?: true
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
  const next = <K extends keyof Answer>(key: K, many = 1): Promise<Answer[K]> =>
    new Promise((resolve) => {
      let count = 0
      const listener = (answer: Answer): void => {
        if (answer[key] === undefined || ++count < many) return
        primary.off('message', listener)
        resolve(answer[key])
      }
      primary.on('message', listener)
    })
  primary.on('message', ({ published, code, reads: more }: Answer) => {
    if (more !== undefined) reads = more
    if (published === undefined) return
    const asked = waiting.get(published)
    waiting.delete(published)
    if (code === undefined) asked?.resolve()
    else asked?.reject(Object.assign(new Error(code), { code }))
  })
  const ports = (await next('ports')) ?? []
  return {
    ports: () => ports,
    publish: (n) =>
      new Promise((resolve, reject) => {
        waiting.set(n, { resolve, reject })
        primary.send({ publish: n })
      }),
    async killOne() {
      const killed = next('killed')
      primary.send({ kill: true })
      await killed
    },
    async reads() {
      const all = next('reads', servers)
      primary.send({ reads: true })
      await all
      return reads
    },
    async stop() {
      const exit = new Promise((resolve) => primary.once('exit', resolve))
      primary.disconnect()
      await exit
    },
  }
}
