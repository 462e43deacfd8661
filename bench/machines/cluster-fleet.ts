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
  // Otherwise its answers would be awaited for ever.
  const ended = new Promise<never>((_, reject) => {
    primary.once('exit', (code, signal) =>
      reject(new Error(`the primary ended: ${code ?? signal}`)),
    )
  })
  ended.catch(() => {})
  const ports = (await Promise.race([next('ports'), ended])) ?? []
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
      const done = new Promise<void>((resolve) => {
        const listener = ({ killed }: Answer): void => {
          if (killed !== kill) return
          primary.off('message', listener)
          resolve()
        }
        primary.on('message', listener)
        primary.send({ kill })
      })
      await Promise.race([done, ended])
    },
    async reads() {
      const all = next('reads', servers)
      primary.send({ reads: true })
      await Promise.race([all, ended])
      return reads
    },
    async stop() {
      if (primary.connected) primary.disconnect()
      await ended.catch(() => {})
    },
  }
}
