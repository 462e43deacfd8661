// Other people's libraries, unmodified, in the black hole: with a guard on their server and without.
import { expect, it } from 'vitest'
import { capabilities } from '../../src/index.js'
import type { OpenOptions } from '../../src/testing/clients.js'
import type { ChildProcessHandle } from '../../src/testing/index.js'
import { type Fault, Rig } from '../../src/testing/index.js'
import { describeWithRig } from '../support/describe-with-rig.js'
import type { LibraryServer, LibraryStream } from '../support/library-servers.js'
import { waitFor } from '../support/wait-for.js'
import { delay } from './scene.js'

const D = 5_000
const BOUND = D + 1_000
const WAIT = D + 3_000
const EACH = 3

/** Libraries that tell their application of the end of a stream. The SDK's Streamable HTTP transport does not. */
const WITH_HOOK = [
  'better-sse',
  'MCP SDK, legacy SSE',
  'graphql-sse',
  '@fastify/sse',
  'Hono on @hono/node-server',
]
const PROTOCOLS: Record<string, OpenOptions['protocol']> = {
  'node:https': 'https',
  'node:http2': 'http2',
}

describeWithRig('libraries that we did not write', () => {
  it.runIf(capabilities().detectionGuaranteed)(
    'lose a vanished client within D + 1 s under a guard, and not at all without',
    async () => {
      const rig = new Rig()
      try {
        const server = rig.spawnServer(new URL('../support/library-servers.ts', import.meta.url))
        const raw = rig.spawnClients(new URL('../../src/testing/clients.ts', import.meta.url))
        const secure = rig.spawnClients(new URL('../../src/testing/clients.ts', import.meta.url))
        const servers = await server.call<LibraryServer[]>('serve', D)
        await open(rig, servers, raw, secure)
        const streams = () => server.call<LibraryStream[]>('streams')
        await waitFor('every stream', async () => (await streams()).length === expected(servers))
        // Some traffic, so that the busy ones have data in flight.
        await delay(1_000)
        const cut = rig.cut('all')
        await delay(WAIT)
        const all = await streams()
        console.log(table(servers, all, cut))
        check(all, cut)
        const rest = await server.call<{ problems: number; watched: number }>('rest')
        expect(rest).toMatchObject({ problems: 0, watched: 0 })
        await reconnect(rig, servers, raw)
      } finally {
        rig.close()
      }
    },
  )
})

async function open(
  rig: Rig,
  servers: LibraryServer[],
  raw: ChildProcessHandle,
  secure: ChildProcessHandle,
): Promise<void> {
  let client = 0
  for (const { library, port, requests } of servers) {
    const protocol = PROTOCOLS[library]
    const host = rig.serverAddress
    const addresses = Array.from({ length: EACH * 2 }, () => rig.clientAddress(client++))
    if (protocol !== undefined) {
      await secure.call('open', { addresses, host, port, protocol })
      continue
    }
    for (const [index, request] of [...requests.quiet, ...requests.busy].entries()) {
      await raw.call('open', { addresses: [addresses[index]], host, port, request })
    }
  }
  await waitFor('every first event', async () =>
    (await raw.call<string[]>('texts')).every((text) => text.includes('data:')),
  )
}

const expected = (servers: LibraryServer[]): number => servers.length * EACH * 2

function check(all: LibraryStream[], cut: Fault): void {
  for (const stream of all) {
    const what = `${stream.library}, ${stream.url}`
    if (!stream.guarded) {
      expect([stream.closedAt, stream.hookAt], `${what} without a guard`).toEqual([
        undefined,
        undefined,
      ])
      continue
    }
    expect((stream.closedAt ?? Number.NaN) - cut.doneAt, what).toBeLessThanOrEqual(BOUND)
    expect(stream.reason, what).toBe('peer-dead')
    if (!WITH_HOOK.includes(stream.library)) continue
    expect((stream.hookAt ?? Number.NaN) - cut.doneAt, `${what}: its hook`).toBeLessThanOrEqual(
      BOUND,
    )
  }
}

/** An MCP client that comes back is refused while the SDK takes its old stream for alive: 409. */
async function reconnect(
  rig: Rig,
  servers: LibraryServer[],
  raw: ChildProcessHandle,
): Promise<void> {
  rig.heal('all')
  for (const { library, guarded, port, requests } of servers) {
    if (library !== 'MCP SDK, Streamable HTTP') continue
    const addresses = [rig.clientAddress(200)]
    const target = { addresses, host: rig.serverAddress, port, request: requests.quiet[0] }
    const [number = 0] = await raw.call<number[]>('open', target)
    const text = await waitFor(
      'an answer',
      async () => (await raw.call<string[]>('texts'))[number] || false,
    )
    const status = text.split('\r\n', 1)[0]
    console.log(`MCP client that comes back ${guarded ? 'with' : 'without'} a guard: ${status}`)
    expect(status).toBe(guarded ? 'HTTP/1.1 200 OK' : 'HTTP/1.1 409 Conflict')
  }
}

function table(servers: LibraryServer[], all: LibraryStream[], { doneAt }: Fault): string {
  const seconds = (times: (number | undefined)[]): string => {
    if (times.some((each) => each === undefined)) return `open after ${WAIT / 1_000} s`
    return `${((Math.max(...(times as number[])) - doneAt) / 1_000).toFixed(2)} s`
  }
  const rows = [...new Set(servers.map(({ library }) => library))].map((library) => {
    const of = (guarded: boolean, kind: string) =>
      all.filter(
        (each) =>
          each.library === library &&
          each.guarded === guarded &&
          (each.url.includes('busy') ? 'busy' : 'quiet') === kind,
      )
    const closed = (guarded: boolean, kind: string) => {
      const some = of(guarded, kind)
      return some.length === 0 ? '-' : seconds(some.map(({ closedAt }) => closedAt))
    }
    const hooks = [...of(true, 'quiet'), ...of(true, 'busy')].map(({ hookAt }) => hookAt)
    const hook = WITH_HOOK.includes(library) ? seconds(hooks) : 'has none'
    return `| ${library} | ${closed(true, 'quiet')} | ${closed(true, 'busy')} | ${hook} | ${closed(false, 'quiet')} | ${closed(false, 'busy')} |`
  })
  return [
    `| D = ${D / 1_000} s | guarded, quiet | guarded, busy | its hook | without, quiet | without, busy |`,
    '|---|---|---|---|---|---|',
    ...rows,
  ].join('\n')
}
