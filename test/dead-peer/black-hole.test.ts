// The promise: a silent peer is closed within D + 1 s, in every phase in which it can fall silent.
import { afterEach, beforeEach, expect, it } from 'vitest'
import { capabilities } from '../../src/index.js'
import { Rig } from '../../src/testing/index.js'
import { describeWithRig } from '../support/describe-with-rig.js'
import { waitFor } from '../support/wait-for.js'
import { allClosed, boundOf, delay, opened, reasons, stage, times } from './scene.js'

const D = 6_000
const BOUND = D + 1_000
const COUNT = 200
const quiet = { detectWithin: D, heartbeat: false } as const

/** Without the kernel's data there is no bound, and `capabilities()` reports that. */
const withKernel = it.runIf(capabilities().detectionGuaranteed)

describeWithRig('a black-holed peer is closed as dead within D + 1 s', () => {
  let rig: Rig
  beforeEach(() => {
    rig = new Rig()
  })
  afterEach(() => rig.close())

  withKernel('idle', async () => {
    const { server } = await stage(rig, COUNT, quiet)
    const cut = rig.cut('all')
    const closed = await allClosed(server, BOUND * 2)
    const took = times('idle', closed, cut)
    expect(reasons(closed)).toEqual({ 'peer-dead': COUNT })
    expect(took.at(-1)).toBeLessThanOrEqual(await boundOf({ server }, cut, D))
  })

  withKernel('data in flight', async () => {
    const { server } = await stage(rig, COUNT, quiet)
    await server.call('produce', { bytes: 200, everyMs: 50 })
    await waitFor('traffic', async () => (await server.call<number>('send')) > 20)
    const cut = rig.cut('all')
    const closed = await allClosed(server, BOUND * 2)
    const took = times('data in flight', closed, cut)
    expect(reasons(closed)).toEqual({ 'peer-dead': COUNT })
    expect(took.at(-1)).toBeLessThanOrEqual(await boundOf({ server }, cut, D))
  })

  withKernel('an event sent just before keepalive would fire', async () => {
    const { server, clients } = await stage(rig, COUNT, quiet)
    const tick = await server.call<number>('send')
    await waitFor('the tick', async () =>
      (await clients.call<number[]>('ticks', COUNT - 1)).includes(tick),
    )
    const cut = rig.cut('all')
    // The stimulus is a moment, 50 ms before the probe: keepalive.idle is 1 s.
    await delay(900)
    await server.call('send')
    const closed = await allClosed(server, BOUND * 2)
    const took = times('event just before keepalive', closed, cut)
    expect(reasons(closed)).toEqual({ 'peer-dead': COUNT })
    expect(took.at(-1)).toBeLessThanOrEqual(await boundOf({ server }, cut, D))
  })

  withKernel('window shut', async () => {
    const small = new Rig({ tcpRmem: '4096 16384 16384' })
    try {
      const { server } = await stage(small, COUNT, quiet, { read: 'never' })
      await server.call('produce', { bytes: 2_000, everyMs: 20 })
      await waitFor('shut windows', async () => {
        const queues = await server.call<{ unsent: number; unacked: number }[]>('queues')
        return queues.every(({ unsent, unacked }) => unsent > 0 && unacked === 0)
      })
      await delay(3_000)
      expect(reasons(await opened(server))).toEqual({ open: COUNT })
      const cut = small.cut('all')
      const closed = await allClosed(server, BOUND * 2)
      const took = times('window shut', closed, cut)
      expect(reasons(closed)).toEqual({ 'peer-dead': COUNT })
      expect(took.at(-1)).toBeLessThanOrEqual(await boundOf({ server }, cut, D))
    } finally {
      small.close()
    }
  })

  for (const protocol of ['https', 'http2'] as const) {
    withKernel(`over ${protocol}, idle and busy, without a throw`, async () => {
      const { server } = await stage(rig, 20, quiet, { protocol })
      const idle = rig.cut(Array.from({ length: 10 }, (_, index) => index))
      await server.call('produce', { bytes: 200, everyMs: 50 })
      const addresses = Array.from({ length: 20 }, (_, index) => rig.clientAddress(index))
      const first = await allClosed(server, BOUND * 2, addresses.slice(0, 10))
      expect(times(`${protocol} idle`, first, idle).at(-1)).toBeLessThanOrEqual(
        await boundOf({ server }, idle, D),
      )
      const busy = rig.cut(Array.from({ length: 10 }, (_, index) => index + 10))
      const second = await allClosed(server, BOUND * 2, addresses.slice(10))
      expect(times(`${protocol} busy`, second, busy).at(-1)).toBeLessThanOrEqual(
        await boundOf({ server }, busy, D),
      )
      expect(reasons([...first, ...second])).toEqual({ 'peer-dead': 20 })
      expect(await server.call('rest')).toMatchObject({ watched: 0, problems: 0 })
      expect(rig.serverSockets()).toEqual([])
    })
  }

  withKernel('leaves nothing behind: no socket, no timer, no watch, no CPU', async () => {
    const { server } = await stage(rig, COUNT, quiet)
    await server.call('produce', { bytes: 200, everyMs: 50 })
    rig.cut('all')
    await allClosed(server, BOUND * 2)
    await server.call('stopProducing')
    const rest = await server.call<{ watched: number; handles: string[]; problems: number }>('rest')
    expect(rest).toMatchObject({ watched: 0, problems: 0 })
    expect(rest.handles.filter((name) => name === 'Timeout')).toEqual([])
    expect(rig.serverSockets()).toEqual([])
    await server.call('startCpu')
    await delay(10_000)
    const cpu = await server.call<number>('usedCpu')
    console.log(`CPU in the 10 s after ${COUNT} clients vanished: ${cpu.toFixed(1)} ms`)
    expect(cpu).toBeLessThan(100)
  })
})
