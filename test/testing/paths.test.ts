// The paths of our own tests do to packets what their shape says.
import { afterEach, expect, it } from 'vitest'
import { capabilities, type SocketSnapshot } from '../../src/index.js'
import { type ChildProcessHandle, Rig } from '../../src/testing/index.js'
import { allClosed, type Scene, stage } from '../dead-peer/scene.js'
import { describeWithRig } from '../support/describe-with-rig.js'
import { addPath } from '../support/paths.js'
import type { Shape } from '../support/shape.js'
import { waitFor } from '../support/wait-for.js'

describeWithRig('a path of a rig', () => {
  let rig: Rig
  afterEach(() => rig.close())

  /** One client on the path, and one on the rig's own cable. */
  const staged = async (shape: Shape, detectWithin = 30_000): Promise<Scene> => {
    rig = new Rig()
    await addPath(rig, [0], shape)
    return await stage(rig, 2, { detectWithin, heartbeat: false })
  }
  const snapshots = (server: ChildProcessHandle): Promise<SocketSnapshot[]> =>
    server.call('snapshots')
  const acknowledged = (server: ChildProcessHandle): Promise<SocketSnapshot[]> =>
    waitFor('every ACK', async () => {
      const all = await snapshots(server)
      return all.every(({ unacked, unsent }) => unacked === 0 && unsent === 0) && all
    })
  /** In the order of the clients, whichever had its stream first. */
  const onPathFirst = async (
    server: ChildProcessHandle,
    all: SocketSnapshot[],
  ): Promise<SocketSnapshot[]> => {
    const [first] = await server.call<{ address: string }[]>('streams')
    return first?.address === rig.clientAddress(0) ? all : all.reverse()
  }

  it.runIf(capabilities().addon)('delays its own clients only', async () => {
    const { server } = await staged({ delay: 150 })
    await server.call('send')
    const [far, near] = await onPathFirst(server, await acknowledged(server))
    expect(far?.rtt).toBeGreaterThanOrEqual(300)
    expect(far?.rtt).toBeLessThan(600)
    expect(near?.rtt).toBeLessThan(100)
  })

  it.runIf(capabilities().addon)('loses packets, and TCP repairs it', async () => {
    const { server, clients } = await staged({ delay: 5, loss: 10 })
    for (let i = 0; i < 200; i++) await server.call('send', 1_000)
    const [lossy, clean] = await onPathFirst(server, await acknowledged(server))
    // A busy machine makes the kernel retransmit now and then for an ACK that comes late.
    const retransmits = lossy?.totalRetransmits ?? 0
    expect(retransmits).toBeGreaterThan(5)
    expect(clean?.totalRetransmits).toBeLessThan(retransmits / 2)
    expect(await clients.call<number[]>('ticks', 0)).toHaveLength(200)
  })

  it.runIf(capabilities().addon)('reorders packets, and the events are in order', async () => {
    const { server, clients } = await staged({ delay: 30, reorder: 25 })
    for (let i = 0; i < 100; i++) await server.call('send', 1_000)
    await acknowledged(server)
    const ticks = await clients.call<number[]>('ticks', 0)
    expect(ticks).toEqual(Array.from({ length: 100 }, (_, index) => index + 1))
  })

  it.runIf(capabilities().addon)(
    'has a rate, and a queue that its clients wait behind',
    async () => {
      // 50 KB at 800 kbit/s take half a second.
      const { server } = await staged({ rate: 800_000, queue: 400_000 })
      const from = performance.now()
      await server.call('send', 50_000)
      await acknowledged(server)
      expect(performance.now() - from).toBeGreaterThan(450)
      const [narrow] = await onPathFirst(server, await snapshots(server))
      expect(narrow?.totalRetransmits).toBe(0)
    },
  )

  it.runIf(capabilities().detectionGuaranteed)('obeys the cuts of the rig', async () => {
    const { server } = await staged({ delay: 20 }, 4_000)
    rig.cut([0])
    const [closed] = await allClosed(server, 10_000, [rig.clientAddress(0)])
    expect(closed?.info?.reason).toBe('peer-dead')
  })

  it.runIf(capabilities().addon)('takes another shape while connections use it', async () => {
    rig = new Rig()
    const path = await addPath(rig, [0], {})
    const { server } = await stage(rig, 1, {})
    await path.reshape({ delay: 100 })
    await server.call('send')
    const [first] = await acknowledged(server)
    await server.call('send')
    const [then] = await acknowledged(server)
    expect(then?.rtt).toBeGreaterThan(first?.rtt ?? 0)
  })
})
