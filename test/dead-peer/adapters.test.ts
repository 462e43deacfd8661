// The promise on every server of the compatibility table: one black hole for all of them.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { capabilities } from '../../src/index.js'
import type { ChildProcessHandle } from '../../src/testing/index.js'
import { type Fault, Rig } from '../../src/testing/index.js'
import { delay } from '../support/delay.js'
import { describeWithRig } from '../support/describe-with-rig.js'
import type { Served, ServedStream } from '../support/framework-peer.js'
import { frameworks } from '../support/framework-servers.js'
import { waitFor } from '../support/wait-for.js'

const D = 5_000
const BOUND = D + 1_000
const EACH = 3

const withKernel = it.runIf(capabilities().detectionGuaranteed)

describeWithRig('a black-holed client of any server', () => {
  let rig: Rig
  let server: ChildProcessHandle
  let streams: ServedStream[]
  let cut: Fault

  beforeAll(async () => {
    rig = new Rig()
    server = rig.spawnServer(new URL('../support/framework-peer.ts', import.meta.url))
    const clients = rig.spawnClients(new URL('../../src/testing/clients.ts', import.meta.url))
    const served = await server.call<Served[]>('serve', D)
    let index = 0
    for (const { protocol, port } of served) {
      const addresses = Array.from({ length: EACH }, () => rig.clientAddress(index++))
      await clients.call('open', { addresses, host: rig.serverAddress, port, protocol })
    }
    const all = (): Promise<ServedStream[]> => server.call('streams')
    await waitFor('every stream', async () => (await all()).length === served.length * EACH)
    await waitFor('an event at each client', async () =>
      (await clients.call<string[]>('texts')).every((text) => text.includes('hello')),
    )
    cut = rig.cut('all')
    await delay(BOUND)
    streams = await all()
  })
  afterAll(() => rig.close())

  for (const { name, protocols } of frameworks) {
    for (const protocol of protocols) {
      withKernel(`${name} | ${protocol} peer dead`, () => {
        const own = streams.filter((each) => each.name === name && each.protocol === protocol)
        expect(own.map(({ reason, code }) => ({ reason, code }))).toEqual(
          Array.from({ length: EACH }, () => ({ reason: 'peer-dead', code: 'ERR_PEER_DEAD' })),
        )
        const times = own.map(({ closedAt = 0 }) => closedAt - cut.doneAt)
        console.log(`${name} | ${protocol}: ${(Math.max(...times) / 1_000).toFixed(2)} s`)
        expect(Math.max(...times)).toBeLessThanOrEqual(BOUND)
      })
    }
  }

  withKernel('leaves no socket, no watch and no warning behind', async () => {
    expect(await server.call('rest')).toEqual({ problems: [], watched: 0 })
    expect(rig.serverSockets()).toEqual([])
  })
})
