// Workers of a cluster, in real processes.
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it } from 'vitest'
import { capabilities, livenessPlan } from '../../src/index.js'
import { waitFor } from '../support/wait-for.js'
import { Client, later, undo } from './scene.js'

afterEach(undo)

interface Message {
  listening?: number
  worker?: number
  stopped?: boolean
  connections?: number
  inherited?: boolean
  timeouts?: number[]
}

/** Three processes compile their sources first: ten seconds and more on a machine that is busy. */
const START = 60_000

for (const policy of ['round-robin', 'none']) {
  it(
    `guards each connection by itself in a cluster with scheduling policy ${policy}`,
    async () => {
      const messages: Message[] = []
      const primary: ChildProcess = spawn(
        process.execPath,
        ['--import', 'tsx', fileURLToPath(new URL('./cluster-worker.ts', import.meta.url))],
        { env: { ...process.env, POLICY: policy }, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
      )
      later(() => primary.kill())
      primary.on('message', (message: Message) => messages.push(message))
      const listening = () => {
        const all = messages.filter(({ listening }) => listening !== undefined)
        return all.length === 2 && all
      }
      const ports = await waitFor('both workers', listening, START)
      const port = ports[0]?.listening as number
      const clients = Array.from({ length: 6 }, () => new Client(port))
      for (const client of clients) await client.sees('data: 1')
      primary.send('stop')
      const stopped = await waitFor('both to stop', () => {
        const all = messages.filter((message) => message.stopped)
        return all.length === 2 && all
      })
      const served = messages.filter(({ worker, stopped }) => worker !== undefined && !stopped)
      expect(served.length).toBe(6)
      const expected = capabilities().addon
        ? Math.ceil(livenessPlan(20_000).userTimeout as number)
        : -9
      for (const { inherited, timeouts } of served) {
        expect(inherited).toBe(false)
        expect(timeouts?.every((each) => each === expected)).toBe(true)
      }
      for (const { connections, timeouts } of stopped) {
        expect(connections).toBe(0)
        if (capabilities().addon) expect(timeouts?.every((each) => each === 0)).toBe(true)
      }
    },
    2 * START,
  )
}
