// A client that takes nothing for `stallTimeout` is stalled; one that takes something, however slowly, is not. And windows
// that open and shut never look like a death, nor hide one.
import { expect, it } from 'vitest'
import { capabilities } from '../../src/index.js'
import type { ChildProcessHandle } from '../../src/testing/index.js'
import { Rig } from '../../src/testing/index.js'
import { describeWithRig } from '../support/describe-with-rig.js'
import type { Opened } from '../support/server.js'
import { waitFor } from '../support/wait-for.js'
import { allClosed, boundOf, delay, opened, reasons, stage, times } from './scene.js'

const SMALL = { tcpRmem: '4096 16384 16384' }

async function noProblems(server: ChildProcessHandle): Promise<void> {
  const { problems } = await server.call<{ problems: number }>('rest')
  expect([problems, server.stderr]).toEqual([0, ''])
}

/** The ms for which the client took nothing, as the close says. */
const stalledFor = ({ info }: Opened): number =>
  Number(/for (\d+) ms/.exec(info?.message ?? '')?.[1])

describeWithRig('stallTimeout 30 s', () => {
  it.runIf(capabilities().addon)(
    'spares who reads 2 KB/s and who pauses for 20 s, and ends who never reads or is stopped',
    async () => {
      const rig = new Rig(SMALL)
      try {
        const slow = await stage(rig, 2, {}, { read: { bytes: 2_048, everyMs: 1_000 } })
        const pausing = await stage(rig, 2, {})
        const never = await stage(rig, 2, {}, { read: 'never' })
        const stopped = await stage(rig, 2, {})
        const all = [slow, pausing, never, stopped]
        for (const { server } of all) await server.call('produce', { bytes: 2_000, everyMs: 50 })
        await delay(1_000)
        stopped.clients.signal('SIGSTOP')
        const startedAt = Date.now()
        for (let round = 0; round < 3; round++) {
          for (const index of pausing.indexes) await pausing.clients.call('read', index, 'never')
          await delay(20_000)
          for (const index of pausing.indexes) await pausing.clients.call('read', index, 'all')
          await delay(500)
        }
        for (const { server } of [slow, pausing]) {
          expect(reasons(await opened(server))).toEqual({ open: 2 })
        }
        const ends = []
        for (const { server } of [never, stopped]) {
          const closed = await opened(server)
          expect(reasons(closed)).toEqual({ stalled: 2 })
          ends.push(...closed.map(stalledFor))
        }
        for (const ms of ends) {
          expect(ms).toBeGreaterThanOrEqual(30_000)
          expect(ms).toBeLessThanOrEqual(31_000)
        }
        console.log(
          `stalled after ${ends.join(', ')} ms; slow and pausing alive after ${Date.now() - startedAt} ms`,
        )
        for (const { server } of all) await noProblems(server)
      } finally {
        rig.close()
      }
    },
  )
})

describeWithRig('windows that open and shut', () => {
  it.runIf(capabilities().addon)(
    'with D = 5 s: of 40 clients through 20 changes, exactly those that vanish are closed, within D + 1 s',
    async () => {
      const rig = new Rig(SMALL)
      try {
        const { server, clients, indexes } = await stage(rig, 40, { detectWithin: 5_000 })
        await server.call('produce', { bytes: 2_000, everyMs: 10 })
        const change = async (reading: 'never' | 'all'): Promise<void> => {
          for (const index of indexes) await clients.call('read', index, reading)
        }
        for (let round = 0; round < 20; round++) {
          await change(round % 2 === 0 ? 'never' : 'all')
          await delay(900)
        }
        expect(reasons(await opened(server))).toEqual({ open: 40 })
        const gone = indexes.filter((index) => index % 2 === 0)
        // In the middle of a change: some windows are shut, some are open.
        for (const index of indexes.slice(0, 20)) await clients.call('read', index, 'never')
        await delay(500)
        const fault = rig.cut(gone)
        const addresses = gone.map((index) => rig.clientAddress(index))
        const closing = allClosed(server, 10_000, addresses)
        let round = 0
        const rest = indexes.filter((index) => index % 2 === 1)
        await waitFor(
          'the closes, while the others go on',
          async () => {
            round += 1
            for (const index of rest)
              await clients.call('read', index, round % 2 === 0 ? 'all' : 'never')
            return Promise.race([closing.then(() => true), delay(900).then(() => false)])
          },
          12_000,
        )
        const closed = await closing
        const ms = times('vanished among open and shut windows, D = 5 s', closed, fault)
        expect(ms.at(-1)).toBeLessThanOrEqual(await boundOf({ server }, fault, 5_000))
        expect(reasons(closed)).toEqual({ 'peer-dead': 20 })
        await delay(2_000)
        expect(reasons(await opened(server))).toEqual({ 'peer-dead': 20, open: 20 })
        await noProblems(server)
      } finally {
        rig.close()
      }
    },
  )
})

describeWithRig('the incident', () => {
  it.runIf(capabilities().addon)(
    'endless generators against 200 vanished clients: all stopped within D + 1 s, and no CPU after',
    async () => {
      const rig = new Rig()
      try {
        const { server } = await stage(rig, 200, { detectWithin: 4_000 })
        await server.call('pump')
        await delay(1_500)
        const fault = rig.cut('all')
        const ms = times('endless generators, D = 4 s', await allClosed(server, 10_000), fault)
        expect(ms.at(-1)).toBeLessThanOrEqual(await boundOf({ server }, fault, 4_000))
        expect(await server.call('pumped')).toEqual({ closed: 200, returned: 200 })
        await server.call('startCpu')
        await delay(2_000)
        const used = await server.call<number>('usedCpu')
        console.log(`CPU in the 2 s after: ${used.toFixed(0)} ms`)
        expect(used).toBeLessThan(100)
        await noProblems(server)
      } finally {
        rig.close()
      }
    },
  )
})
