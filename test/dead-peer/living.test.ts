// The other half of the promise: a peer that still answers is never closed for being slow, or for a cut that heals.
import { expect, it } from 'vitest'
import { capabilities } from '../../src/index.js'
import { Rig } from '../../src/testing/index.js'
import { describeWithRig } from '../support/describe-with-rig.js'
import { waitFor } from '../support/wait-for.js'
import { allClosed, delay, opened, reasons, type Scene, stage } from './scene.js'

const SMALL = { tcpRmem: '4096 16384 16384' }
const steady = { bytes: 4_096, everyMs: 250 }
const bursts = { bytes: 65_536, everyMs: 3_000 }

async function withRig(body: (rig: Rig) => Promise<void>, options = {}): Promise<void> {
  const rig = new Rig(options)
  try {
    await body(rig)
  } finally {
    rig.close()
  }
}

describeWithRig('a living peer is never closed as dead', () => {
  it('is alive after 60 s of slow reading with D = 5 s, where TCP_USER_TIMEOUT alone kills it', async () => {
    await withRig(async (rig) => {
      const options = { detectWithin: 5_000, stallTimeout: false } as const
      const ours = [
        await stage(rig, 4, options, { read: steady }),
        await stage(rig, 4, options, { read: bursts }),
      ]
      for (const { server } of ours) await server.call('produce', { bytes: 4_000, everyMs: 5 })
      if (capabilities().addon) {
        const bare = await stage(rig, 4, {}, { read: steady }, { userTimeoutOnly: 5_000 })
        const killed = await allClosed(bare.server, 60_000)
        console.log(
          `TCP_USER_TIMEOUT = 5 s alone: ${killed.map(({ info }) => info?.code).join(', ')}`,
        )
        for (const { info } of killed) expect(info?.code).toBe('ETIMEDOUT')
      }
      const before = await received(ours)
      await delay(60_000)
      for (const { server } of ours) expect(reasons(await opened(server))).toEqual({ open: 4 })
      const after = await received(ours)
      for (const [index, bytes] of after.entries())
        expect(bytes).toBeGreaterThan(before[index] ?? 0)
      console.log(`slow readers: ${before.join(', ')} bytes, 60 s later ${after.join(', ')}`)
    }, SMALL)
  })

  const outages = [
    {
      title: 'D = 12 s without TCP_RTO_MAX_MS',
      detectWithin: 12_000,
      overrides: { retransmitMax: false },
    },
    { title: 'D = 6 s with TCP_RTO_MAX_MS', detectWithin: 6_000, overrides: undefined },
  ] as const
  for (const { title, detectWithin, overrides } of outages) {
    const possible = overrides !== undefined || capabilities().retransmitMax
    it.runIf(possible)(`survives an outage of D / 2 with nothing lost: ${title}`, async () => {
      await withRig(async (rig) => {
        const options = { detectWithin, heartbeat: false } as const
        const idle = await stage(rig, 50, options, {}, { overrides })
        const busy = await stage(rig, 50, options, {}, { overrides })
        await busy.server.call('produce', { bytes: 200, everyMs: 100 })
        await delay(2_000)
        rig.cut('all')
        await delay(detectWithin / 2)
        rig.heal('all')
        await delay(detectWithin)
        for (const { server } of [idle, busy]) {
          expect(reasons(await opened(server))).toEqual({ open: 50 })
        }
        const last = await busy.server.call<number>('stopProducing')
        for (const index of busy.indexes) {
          const all = await waitFor('every event', async () => {
            const seen = await busy.clients.call<number[]>('ticks', index)
            return (seen.at(-1) ?? 0) > last - 50 && seen
          })
          expect(all.length).toBeGreaterThan(0)
          const gaps = all.slice(1).filter((tick, at) => tick - (all[at] as number) !== 50)
          expect(gaps).toEqual([])
        }
      })
    })
  }
})

describeWithRig('a client that goes while its request body is unread', () => {
  const body = 300_000
  const D = 6_000
  const ways = ['FIN', 'RST', 'black hole'] as const
  for (const way of ways) {
    it.runIf(capabilities().detectionGuaranteed)(`is noticed without a write: ${way}`, async () => {
      await withRig(async (rig) => {
        const { server, clients } = await stage(
          rig,
          5,
          { detectWithin: D, heartbeat: false },
          { body },
        )
        if (way === 'FIN') await clients.call('close', [0, 1, 2, 3, 4])
        else if (way === 'RST') await clients.call('reset', [0, 1, 2, 3, 4])
        else rig.cut('all')
        const goneAt = Date.now()
        const closed = await allClosed(server, D * 2)
        const last = Math.max(...closed.map(({ closedAt = 0 }) => closedAt - goneAt))
        console.log(
          `unread body, ${way}: ${JSON.stringify(reasons(closed))}, last after ${last} ms`,
        )
        expect(last).toBeLessThanOrEqual(D + 1_000)
        expect(Object.keys(reasons(closed))).toEqual([
          { FIN: 'client-closed', RST: 'client-reset', 'black hole': 'peer-dead' }[way],
        ])
      })
    })
  }
})

async function received(scenes: Scene[]): Promise<number[]> {
  const all = await Promise.all(
    scenes.map(({ clients }) => clients.call<{ bytes: number }[]>('status')),
  )
  return all.flat().map(({ bytes }) => bytes)
}
