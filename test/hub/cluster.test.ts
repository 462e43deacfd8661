// The cluster's hub in real processes and threads.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { clusterFleet } from '../../bench/machines/cluster-fleet.js'
import { trial } from '../../bench/machines/trial.js'
import { waitFor } from '../support/wait-for.js'

/** Several processes compile their sources first. */
const LONG = 120_000

interface Report {
  from?: string
  passed?: number
  failures?: string[]
}

it(
  'keeps the contract in a worker and in a thread',
  async () => {
    const program = fileURLToPath(new URL('./member.ts', import.meta.url))
    const primary = spawn(process.execPath, ['--import', 'tsx', program], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const reports: Report[] = []
    primary.on('message', (report: Report) => reports.push(report))
    try {
      await waitFor('both reports', () => reports.length === 2, LONG)
    } finally {
      primary.kill()
    }
    expect(reports.flatMap(({ failures }) => failures)).toEqual([])
    expect(reports.map(({ from }) => from).sort()).toEqual(['thread', 'worker'])
    for (const { passed } of reports) expect(passed).toBeGreaterThan(10)
  },
  2 * LONG,
)

it(
  'loses nothing and doubles nothing while workers are killed',
  async () => {
    const fleet = await clusterFleet(2)
    try {
      const options = { clients: 20, rate: 100, seconds: 8, killEvery: 2 }
      const { tally, ...result } = await trial(fleet, options)
      expect(result).toMatchObject({ behind: 0, refused: 0, uncertain: 0 })
      expect(result.kills).toBeGreaterThan(1)
      // The killed worker's clients have come back.
      expect(tally.connections).toBeGreaterThan(options.clients)
      expect(tally).toMatchObject({ lost: 0, double: 0, told: 0 })
      expect(tally.events).toBe(result.published * options.clients)
    } finally {
      await fleet.stop()
    }
  },
  LONG,
)
