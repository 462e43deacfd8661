// The rig's promises, with a server that knows nothing of it.
import { spawn } from 'node:child_process'
import { readdirSync, readlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createRig, type Rig, type RigServer, rigMissing, startProcess } from 'tcp-sse/testing'
import { afterEach, expect, it } from 'vitest'
import { capabilities } from '../../src/index.js'
import { delay } from '../support/delay.js'
import { describeWithRig } from '../support/describe-with-rig.js'
import { waitFor } from '../support/wait-for.js'

const module = new URL('./server.ts', import.meta.url)

interface Close {
  reason: string
  address: string | undefined
}

describeWithRig('a rig', () => {
  let rig: Rig | undefined
  afterEach(() => {
    rig?.close()
    rig = undefined
  })

  const started = async (options = {}): Promise<{ rig: Rig; server: RigServer }> => {
    rig = createRig(options)
    return { rig, server: await rig.serve(module) }
  }
  const closeOf = (server: RigServer, address: string): Promise<string> =>
    waitFor(`the close of ${address}`, async () => {
      const closes = await server.process.call<Close[]>('closes')
      return closes.find((each) => each.address?.endsWith(address))?.reason
    })

  it.runIf(capabilities().detectionGuaranteed)(
    'tells a client that vanishes from one that stalls, one that resets and one that lives',
    async () => {
      const { rig, server } = await started({ tcpRmem: '4096 16384 16384' })
      const [gone, stalled, reset, living] = [
        await rig.connect(server),
        await rig.connect(server),
        await rig.connect(server),
        await rig.connect(server),
      ]
      await waitFor('events', async () => (await living.received()).ids.length > 5)
      gone.vanish()
      await stalled.stall()
      await reset.reset()
      expect(await closeOf(server, reset.address)).toBe('client-reset')
      expect(await closeOf(server, gone.address)).toBe('peer-dead')
      expect(await closeOf(server, stalled.address)).toBe('stalled')
      const before = (await living.received()).bytes
      await waitFor('more events', async () => (await living.received()).bytes > before)
      expect((await living.received()).ended).toBe(false)
    },
  )

  it('lets a client that comes back in time go on where it was', async () => {
    const { rig, server } = await started()
    const client = await rig.connect(server)
    await waitFor('events', async () => (await client.received()).ids.length > 0)
    client.vanish()
    const still = async (): Promise<boolean> => {
      const { bytes } = await client.received()
      await delay(200)
      return (await client.received()).bytes === bytes
    }
    await waitFor('silence', still)
    client.comeBack()
    const before = (await client.received()).bytes
    await waitFor('more', async () => (await client.received()).bytes > before + 20_000)
    const { ids } = await client.received()
    expect(ids).toEqual(ids.map((_, index) => String(index + 1)))
  })

  it('reads at the given pace', async () => {
    const { rig, server } = await started()
    const client = await rig.connect(server, { read: { bytes: 1_000, everyMs: 20 } })
    const startedAt = performance.now()
    await waitFor('20 000 bytes', async () => (await client.received()).bytes >= 20_000)
    expect(performance.now() - startedAt).toBeGreaterThan(350)
  })

  it('cuts IPv6 like IPv4', async () => {
    const { rig, server } = await started({ ipv6: true })
    const client = await rig.connect(server, {}, 6)
    expect(client.address).toBe('fd77:78::1')
    await waitFor('events', async () => (await client.received()).ids.length > 0)
    client.vanish()
    await waitFor('silence', async () => {
      const { bytes } = await client.received()
      await delay(200)
      return (await client.received()).bytes === bytes
    })
    client.comeBack()
    const before = (await client.received()).bytes
    await waitFor('more', async () => (await client.received()).bytes > before)
  })

  it('loses packets of clients behind a narrow link, and of no others', async () => {
    const { rig, server } = await started()
    const narrow = await rig.connect(server)
    const wide = await rig.connect(server)
    rig.narrow([narrow.number], { rate: 256_000, queue: 6_000 })
    const from = { narrow: await narrow.received(), wide: await wide.received() }
    const startedAt = performance.now()
    await waitFor(
      'a megabyte on the wide path',
      async () => (await wide.received()).bytes > from.wide.bytes + 300_000,
    )
    const rate =
      ((await narrow.received()).bytes - from.narrow.bytes) /
      ((performance.now() - startedAt) / 1_000)
    expect(rate).toBeGreaterThan(1_000)
    // 256 kbit/s, and what was on its way before.
    expect(rate).toBeLessThan(60_000)
    expect(rig.narrowDrops()).toBeGreaterThan(0)
  })

  it('refuses wrong arguments, and names them', async () => {
    const made = createRig()
    rig = made
    const wrong: [() => unknown, string, string][] = [
      [() => made.cut('foo' as never), 'ERR_OPTION_TYPE', 'clients'],
      [() => made.heal([62_500]), 'ERR_OPTION_VALUE', 'client'],
      [() => made.refuse([0], 'foo' as never), 'ERR_OPTION_VALUE', 'how'],
      [() => made.narrow([0], { rate: -5 }), 'ERR_OPTION_VALUE', 'rate'],
      [() => made.narrow([0], { rat: 5 } as never), 'ERR_OPTION_UNKNOWN', 'rat'],
    ]
    for (const [call, code, option] of wrong) {
      expect(call).toThrow(expect.objectContaining({ code, option }))
    }
    const code = 'ERR_OPTION_TYPE'
    await expect(made.connect({} as never)).rejects.toMatchObject({ code, option: 'server.port' })
    const options = { read: 'some' as never }
    await expect(made.connect({ port: 80 }, options)).rejects.toMatchObject({ code })
  })

  it('says what became of a server that does not listen', async () => {
    rig = createRig()
    await expect(rig.serve(new URL('./no-server.ts', import.meta.url))).rejects.toMatchObject({
      code: 'ERR_CHILD',
      message: expect.stringContaining('this module has nothing to serve'),
    })
    await expect(rig.serve(module, { env: { LISTEN_ON: '127.0.0.1' } })).rejects.toMatchObject({
      code: 'ERR_CHILD',
      message: expect.stringContaining('loopback only'),
    })
  })

  it('leaves nothing behind after SIGKILL: no process, no namespace', async () => {
    const { child, spaces } = await startVictim()
    expect(spaces).toHaveLength(3)
    expect(processesIn(spaces).length).toBeGreaterThanOrEqual(5)
    child.kill('SIGKILL')
    await waitFor('nobody in the namespaces', () => processesIn(spaces).length === 0)
  })

  it('refuses bad options', () => {
    expect(() => createRig({ tcpRmem: 4_096 as never })).toThrow(
      expect.objectContaining({ code: 'ERR_OPTION_TYPE' }),
    )
    expect(() => createRig({ ipv5: true } as never)).toThrow(
      expect.objectContaining({ code: 'ERR_OPTION_UNKNOWN' }),
    )
    rig = createRig()
    expect(() => rig?.clientAddress(62_500)).toThrow(
      expect.objectContaining({ code: 'ERR_OPTION_VALUE' }),
    )
  })
})

it('rigMissing gives a reason or nothing, and makes no noise', () => {
  expect([undefined, expect.any(String)]).toContainEqual(rigMissing())
})

it('a call to a child that has ended is refused with what it said last', async () => {
  const peer = startProcess(new URL('./no-server.ts', import.meta.url))
  await waitFor('its end', () => peer.ended)
  await expect(peer.call('anything')).rejects.toMatchObject({
    code: 'ERR_CHILD',
    message: expect.stringContaining('nothing to serve'),
  })
})

/** A process with a rig, a server and a client, which is going to be killed. */
async function startVictim() {
  const script = fileURLToPath(new URL('./victim.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const spaces = await new Promise<string[]>((resolve, reject) => {
    let text = ''
    child.on('exit', () => reject(new Error(`the victim ended: ${text}`)))
    child.stdout.on('data', (chunk) => {
      text += chunk
      if (text.endsWith('\n')) resolve(JSON.parse(text) as string[])
    })
  })
  child.removeAllListeners('exit')
  return { child, spaces }
}

/** Who lives in network namespaces, by their links in /proc. */
function processesIn(spaces: string[]): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      return spaces.includes(readlinkSync(`/proc/${pid}/ns/net`))
    } catch {
      return false
    }
  })
}
