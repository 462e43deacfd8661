// Behind proxies with their default settings: who notices what, and when, with clients that others wrote.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type ChildProcessHandle, Rig } from '../../src/testing/index.js'
import { describeWithRig } from '../support/describe-with-rig.js'
import type { Seen } from '../support/proxied-clients.js'
import type { Served } from '../support/proxied-server.js'
import { PROXIES, proxyMissing } from '../support/proxies.js'
import { waitFor } from '../support/wait-for.js'
import { delay } from './scene.js'

const ECHO = { beat: 1_000, silence: 4_000 }
const LIBRARIES = ['eventsource', 'eventsource-client', 'fetch-event-source', 'a loop']
const PROTOCOLS = ['http/1.1', 'https/1.1', 'h2']

const missing = proxyMissing()
const skip = missing !== undefined && process.env.CI !== 'true'
if (skip) console.warn(`SKIPPED: echoes behind proxies: ${missing}`)

describeWithRig('echoes through nginx, HAProxy and Caddy at their defaults', () => {
  let rig: Rig
  let server: ChildProcessHandle
  let clients: ChildProcessHandle
  let names: string[]

  beforeAll(async () => {
    if (skip) return
    rig = new Rig()
    server = rig.spawnServer(new URL('../support/proxied-server.ts', import.meta.url))
    clients = rig.spawnClients(new URL('../support/proxied-clients.ts', import.meta.url))
    const options = { echo: ECHO, retry: 500, detectWithin: 10_000 }
    const ports = await server.call<{ plain: number; tls: number }[]>('listen', {
      options,
      names: PROXIES,
    })
    const urls = PROXIES.flatMap((proxy, index) =>
      PROTOCOLS.flatMap((protocol) =>
        LIBRARIES.map((library) => {
          const { plain = 0, tls = 0 } = ports[index] ?? {}
          const origin =
            protocol === 'http/1.1'
              ? `http://${rig.serverAddress}:${plain}`
              : `https://${rig.serverAddress}:${tls}`
          const name = [proxy, protocol, library].join(' ').replaceAll(/[ /]/g, '_')
          return {
            name,
            url: `${origin}/${name}`,
            library,
            http2: protocol === 'h2',
            address: rig.clientAddress(index),
          }
        }),
      ),
    )
    names = urls.map(({ name }) => name)
    await clients.call('open', { urls })
    await server.call('produce', { everyMs: 250 })
    await waitFor('streams that have brought something', async () => {
      const seen = await clients.call<Seen[]>('seen')
      return seen.every(({ ids }) => ids.length > 2)
    })
  }, 60_000)
  afterAll(() => rig?.close())

  const served = (): Promise<Served[]> => server.call<Served[]>('served')
  const seen = (): Promise<Seen[]> => clients.call<Seen[]>('seen')

  /** Waits until everybody has had an event that was sent after this; ms from then on, by client. */
  async function allResumed(from: number, within = 20_000): Promise<number[]> {
    const last = await server.call<number>('last')
    const done = new Map<string, number>()
    await waitFor(
      'everybody to be back',
      async () => {
        for (const { name, ids, lastAt } of await seen()) {
          if (!done.has(name) && (ids.at(-1) ?? 0) > last) done.set(name, lastAt - from)
        }
        return done.size === names.length
      },
      within,
    )
    return [...done.values()]
  }

  /** A client is held to its echoes from the first one on. */
  async function allAnswering(): Promise<void> {
    await waitFor('an open stream of each that has been answered', async () => {
      const open = (await served()).filter(({ closedAt }) => closedAt === undefined)
      return open.length === names.length && open.every(({ armed }) => armed)
    })
  }

  /** Each has had every event, once, in order. */
  async function expectAllOnce(): Promise<void> {
    for (const { name, ids } of await seen()) {
      const first = ids[0] ?? 0
      expect(ids, name).toEqual(ids.map((_, index) => first + index))
    }
  }

  const range = (numbers: number[]): string =>
    `${(Math.min(...numbers) / 1000).toFixed(1)}-${(Math.max(...numbers) / 1000).toFixed(1)} s`

  /** Does something to the path or a process; how long both sides took to notice. */
  async function trial(
    title: string,
    {
      start,
      stop,
      lasts,
      reasons,
    }: { start(): void; stop(): void; lasts: number; reasons: string[] },
  ): Promise<void> {
    await allAnswering()
    const began = Date.now()
    start()
    await delay(lasts)
    stop()
    const healed = Date.now()
    const resumed = await allResumed(healed)
    const ends = (await served()).filter(
      ({ openedAt, closedAt = 0 }) => openedAt < began && closedAt > began,
    )
    const failures = (await seen()).flatMap(
      ({ failures }) => failures.find(({ at }) => at > began)?.at ?? [],
    )
    console.log(
      `${title}: ${ends.length} of ${names.length} ended by the server after ${range(ends.map(({ closedAt = 0 }) => closedAt - began))}, ` +
        `noticed by ${failures.length} clients after ${range(failures.map((at) => at - began))}, resumed after ${range(resumed)}`,
    )
    for (const { name, reason } of ends) expect(reasons, name).toContain(reason)
    expect(ends.length).toBe(names.length)
    expect(failures.length).toBe(names.length)
    for (const { closedAt = 0 } of ends) {
      expect(closedAt - began).toBeLessThan(Math.max(lasts, ECHO.silence) + 3_000)
    }
    await expectAllOnce()
  }

  it.skipIf(skip)(
    'clients that are black-holed: both sides notice, all resume, nothing is lost or doubled',
    async () => {
      await trial('black hole', {
        start: () => rig.cut('all'),
        stop: () => rig.heal('all'),
        lasts: 12_000,
        reasons: ['no-echo'],
      })
    },
  )

  it.skipIf(skip)('a path that is cut towards the clients only', async () => {
    await trial('cut towards the clients', {
      start: () => {
        rig.cut('all')
        rig.healFrom('all')
      },
      stop: () => rig.healTowards('all'),
      lasts: 12_000,
      // A client that notices first tells the server.
      reasons: ['no-echo', 'client-closed', 'client-reset'],
    })
  })

  it.skipIf(skip)('a path that is cut from the clients only', async () => {
    await trial('cut from the clients', {
      start: () => {
        rig.cut('all')
        rig.healTowards('all')
      },
      stop: () => rig.healFrom('all'),
      lasts: 12_000,
      reasons: ['no-echo'],
    })
  })

  it.skipIf(skip)('clients that are stopped, whose kernels go on answering', async () => {
    const pid = await clients.call<number>('pid')
    await trial('clients stopped', {
      start: () => process.kill(pid, 'SIGSTOP'),
      stop: () => process.kill(pid, 'SIGCONT'),
      lasts: 12_000,
      reasons: ['no-echo'],
    })
  })

  it.skipIf(skip)('a server that is stopped behind its proxy: its clients notice', async () => {
    const pid = await server.call<number>('pid')
    const began = Date.now()
    process.kill(pid, 'SIGSTOP')
    await delay(9_000)
    process.kill(pid, 'SIGCONT')
    const healed = Date.now()
    const resumed = await allResumed(healed)
    const failures = (await seen()).flatMap(
      ({ failures }) => failures.find(({ at }) => at > began)?.at ?? [],
    )
    console.log(
      `server stopped: noticed by ${failures.length} clients after ${range(failures.map((at) => at - began))}, resumed after ${range(resumed)}`,
    )
    expect(failures.length).toBe(names.length)
    for (const at of failures) expect(at - began).toBeLessThan(ECHO.silence + 3_000)
    await expectAllOnce()
  })

  it.skipIf(skip)('an outage that is shorter than half of the silence ends no stream', async () => {
    await allResumed(Date.now())
    await allAnswering()
    const before = (await served()).length
    rig.cut('all')
    await delay(ECHO.silence * 0.4)
    rig.heal('all')
    await delay(ECHO.silence)
    expect((await served()).length).toBe(before)
    await expectAllOnce()
  })
})
