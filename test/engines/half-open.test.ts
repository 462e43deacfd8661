// A connection whose other end is gone without a sign, in network namespaces: the engine is killed and started again while the path is cut.
import { expect, test } from 'vitest'
import { createRig } from '../../src/testing/index.js'
import { describeWithEngine } from '../support/describe-with-engine.js'
import { describeWithRig } from '../support/describe-with-rig.js'
import { waitFor } from '../support/wait-for.js'

/** With the defaults: Redis `blockFor + answerWithin`, NATS 2.5 `heartbeat` + `answerWithin` and its library's pause; and a busy machine's part. */
const BOUNDS = { redis: 4_000 + 3_000, nats: 7_000 + 2_000 + 3_000 } as const

interface Heard {
  readonly texts: string[]
  readonly gaps: number
}

for (const engine of ['redis', 'nats'] as const) {
  describeWithEngine(`${engine}-server`, `half-open connections to ${engine}`, () => {
    describeWithRig('in namespaces', () => {
      test('events flow again within the bound, and none is missing', async () => {
        const rig = createRig()
        try {
          const server = rig.spawnServer(new URL('../support/engine-in-rig.ts', import.meta.url))
          const client = rig.spawnClients(new URL('../support/feed-in-rig.ts', import.meta.url))
          const port = await server.call('start', engine)
          await client.call('open', engine, rig.serverAddress, port)
          const texts = async (): Promise<string[]> => (await client.call<Heard>('heard')).texts
          await server.call('publish', 'before')
          await waitFor('the first', async () => (await texts()).length === 1)
          rig.cut('all')
          await server.call('restart')
          await server.call('publish', 'meanwhile')
          rig.heal('all')
          const began = performance.now()
          await server.call('publish', 'after')
          await waitFor('the last', async () => (await texts()).includes('after'), 30_000)
          const took = performance.now() - began
          console.log(`${engine}: events flow again after ${Math.round(took)} ms`)
          expect(await client.call('heard')).toEqual({
            texts: ['before', 'meanwhile', 'after'],
            gaps: 0,
          })
          expect(took).toBeLessThan(BOUNDS[engine])
          await server.call('stop')
        } finally {
          rig.close()
        }
      }, 60_000)
    })
  })
}
