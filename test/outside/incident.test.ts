// The incident that this library began with, in its own kind of stack: an ASGI application behind a server that nobody can
// change, clients that vanish, and the command beside it.
import { afterEach, expect, it } from 'vitest'
import type { Reading } from '../../src/testing/index.js'
import { delay } from '../support/delay.js'
import { waitFor } from '../support/wait-for.js'
import { describeOutside, missing, range, Scene } from './scene.js'

const D = 8_000
const PORT = 8_000
const CLIENTS = 30
const python = '/usr/bin/python3'
const gunicorn = '/usr/bin/gunicorn'

const SERVERS = {
  uvicorn: [python, '-m', 'uvicorn', '--host', '0.0.0.0', '--port', `${PORT}`, 'app:app'],
  gunicorn: [
    gunicorn,
    '-w',
    '1',
    '-k',
    'uvicorn.workers.UvicornWorker',
    '-b',
    `0.0.0.0:${PORT}`,
    'app:app',
  ],
} as const

let scene: Scene
afterEach(() => scene.close())

/** Clients 0 to CLIENTS - 1; the second half may read otherwise. */
async function open(kind: string, rest: Reading = 'all'): Promise<void> {
  const clients = scene.rig.spawnClients(new URL('../../src/testing/clients.ts', import.meta.url))
  const [half, rig] = [CLIENTS / 2, scene.rig]
  const target = { host: rig.serverAddress, port: PORT, path: `/events?kind=${kind}` }
  const addresses = (from: number, to: number): string[] =>
    range(from, to).map((n) => rig.clientAddress(n))
  await clients.call('open', { ...target, addresses: addresses(0, half) })
  await clients.call('open', { ...target, addresses: addresses(half, CLIENTS), read: rest })
  await waitFor('all responses', () => scene.live(PORT) === CLIENTS)
}

const absent = missing(
  python,
  gunicorn,
  '/usr/lib/python3/dist-packages/uvicorn',
  '/usr/lib/python3/dist-packages/starlette',
)
if (absent !== undefined && process.env.CI !== 'true')
  console.warn(`SKIPPED: test/outside: ${absent}`)
const run = absent !== undefined && process.env.CI !== 'true' ? it.skip : it

describeOutside('an ASGI application whose clients vanish', () => {
  const cases = [
    ['uvicorn', 'idle', 'all', ['--arm']],
    ['gunicorn', 'idle', 'all', ['--arm']],
    ['uvicorn', 'ticks', 'all', []],
    ['gunicorn', 'busy', 'all', []],
    // The living ones read 16 KB a second: for them the window is shut nearly all the time.
    ['uvicorn', 'flood', { bytes: 16_384, everyMs: 1_000 }, []],
  ] as const
  for (const [server, kind, rest, flags] of cases) {
    run(
      `under ${server}, ${kind}: the vanished are ended within D + 1 s, and no other client`,
      async () => {
        scene = new Scene()
        await scene.serve(PORT, SERVERS[server])
        const guard = await scene.guard('--port', `${PORT}`, '--detect-within', `${D}ms`, ...flags)
        await open(kind, rest)
        await guard.sees(CLIENTS)
        const gone = range(0, CLIENTS / 2)
        const { startedAt, doneAt } = scene.rig.cut(gone)
        const ends = await guard.ends(gone.length, D + 5_000)
        console.log(
          `${server}, ${kind}: ended after ${ends
            .map(({ at }) => at - startedAt)
            .sort((a, b) => a - b)
            .at(-1)} ms`,
        )
        for (const { at } of ends) expect(at - doneAt).toBeLessThanOrEqual(D + 1_000)
        expect(ends.map(({ address }) => address).sort()).toEqual(
          gone.map((n) => scene.rig.clientAddress(n)).sort(),
        )
        // The application has been told: its responses have ended, and only those.
        await waitFor('the responses', () => scene.live(PORT) === CLIENTS / 2, 5_000)
        // For as long again nobody else is ended.
        await delay(D + 2_000)
        expect(guard.closes()).toHaveLength(gone.length)
        expect(scene.live(PORT)).toBe(CLIENTS / 2)
        expect(await guard.stop()).toBe(0)
        expect(guard.lines.at(-1)).toMatchObject({
          event: 'stop',
          closed: { 'peer-dead': gone.length, stalled: 0 },
        })
      },
    )
  }

  run('keeps them all without a guard', async () => {
    scene = new Scene()
    await scene.serve(PORT, SERVERS.uvicorn)
    await open('ticks')
    scene.rig.cut(range(0, CLIENTS / 2))
    await delay(D + 5_000)
    expect(scene.live(PORT)).toBe(CLIENTS)
  })
})
