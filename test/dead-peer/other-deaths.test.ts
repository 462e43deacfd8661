// Ways to go that are no silent black hole, and a client that only seems to be gone.
import { afterEach, beforeEach, expect, it } from 'vitest'
import { capabilities } from '../../src/index.js'
import { Rig } from '../../src/testing/index.js'
import { describeWithRig } from '../support/describe-with-rig.js'
import { allClosed, boundOf, delay, opened, reasons, stage, times } from './scene.js'

const D = 6_000
const withKernel = it.runIf(capabilities().detectionGuaranteed)

describeWithRig('a peer that goes in another way', () => {
  let rig: Rig
  beforeEach(() => {
    rig = new Rig()
  })
  afterEach(() => rig.close())

  const faults: [string, (rig: Rig) => { startedAt: number; doneAt: number }][] = [
    ['ICMP host unreachable', (each) => each.refuse([0, 1, 2, 3], 'unreachable')],
    ['ICMP administratively prohibited', (each) => each.refuse([0, 1, 2, 3], 'prohibit')],
    ['the link behind the router down', (each) => each.linkDown()],
  ]
  for (const [title, fault] of faults) {
    withKernel(`is closed as dead within D + 1 s: ${title}`, async () => {
      const { server } = await stage(rig, 4, { detectWithin: D, heartbeat: false })
      await server.call('produce', { bytes: 100, everyMs: 100 })
      const closed = await allClosedAfter(server, fault(rig))
      expect(reasons(closed)).toEqual({ 'peer-dead': 4 })
      expect(times(title, closed, closed.fault).at(-1)).toBeLessThanOrEqual(
        await boundOf({ server }, closed.fault, D),
      )
    })
  }

  it('says client-closed of a half-close, and client-reset of a reset', async () => {
    const { server, clients } = await stage(rig, 4, { detectWithin: D })
    await clients.call('halfClose', [0, 1])
    await clients.call('reset', [2, 3])
    expect(reasons(await allClosed(server, D))).toEqual({ 'client-closed': 2, 'client-reset': 2 })
  })

  it('never takes a stopped process for dead: its kernel answers', async () => {
    const { server, clients } = await stage(rig, 4, { detectWithin: 4_000 })
    clients.signal('SIGSTOP')
    await server.call('send', 1_000)
    await delay(7_000)
    expect(reasons(await opened(server))).toEqual({ open: 4 })
    clients.signal('SIGCONT')
  })

  async function allClosedAfter(
    server: Parameters<typeof allClosed>[0],
    fault: { startedAt: number; doneAt: number },
  ): Promise<Awaited<ReturnType<typeof allClosed>> & { fault: typeof fault }> {
    return Object.assign(await allClosed(server, D * 2), { fault })
  }
})
