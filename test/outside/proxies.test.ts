// In front of an application stands a proxy whose settings cannot bound a vanished client: the guard is beside the proxy.
import { rmSync } from 'node:fs'
import { afterEach, expect, it } from 'vitest'
import { delay } from '../support/delay.js'
import { waitFor } from '../support/wait-for.js'
import { describeOutside, missing } from './describe-outside.js'
import { folder as newFolder, PROXIES } from './proxies.js'
import { range, Scene } from './scene.js'

const D = 8_000
const EACH = 8
const KINDS = [
  { kind: 'idle', protocol: 'http', port: 8_000 },
  { kind: 'ticks', protocol: 'http', port: 8_000 },
  { kind: 'busy', protocol: 'http', port: 8_000 },
  { kind: 'idle', protocol: 'http2', port: 8_443 },
  { kind: 'ticks', protocol: 'http2', port: 8_443 },
  { kind: 'busy', protocol: 'http2', port: 8_443 },
] as const
const ALL = KINDS.length * EACH

let scene: Scene
let folder = ''
afterEach(() => {
  scene.close()
  rmSync(folder, { recursive: true, force: true })
})

const APP = [
  '/usr/bin/python3',
  '-m',
  'uvicorn',
  '--host',
  '127.0.0.1',
  '--port',
  '9000',
  'app:app',
]

describeOutside('a proxy with its default settings, and a guard beside it', () => {
  for (const [name, { program, configure }] of Object.entries(PROXIES)) {
    const absent = missing(program, '/usr/lib/python3/dist-packages/uvicorn')
    if (absent !== undefined && process.env.CI !== 'true')
      console.warn(`SKIPPED: ${name}: ${absent}`)
    const run = absent !== undefined && process.env.CI !== 'true' ? it.skip : it

    run(
      `${name}: vanished clients are ended within D + 1 s, over HTTP/1 and HTTP/2, idle, ticking and busy`,
      async () => {
        scene = new Scene()
        folder = newFolder()
        const { rig } = scene
        await scene.serve(9_000, APP)
        await scene.serve(8_000, configure(folder, '127.0.0.1:9000'))
        const guard = await scene.guard('--port', '8000,8443', '--detect-within', `${D}ms`, '--arm')
        const clients = rig.spawnClients(new URL('../../src/testing/clients.ts', import.meta.url))
        for (const [index, { kind, protocol, port }] of KINDS.entries()) {
          const addresses = range(index * EACH, (index + 1) * EACH).map((n) => rig.clientAddress(n))
          await clients.call('open', {
            addresses,
            host: rig.serverAddress,
            port,
            protocol,
            path: `/events?kind=${kind}`,
          })
        }
        await waitFor('all responses', () => scene.live(9_000) === ALL)
        // Caddy sets keepalive of its own on what it accepts, and the guard sets it anew.
        await waitFor('keepalive of the guard', () => {
          const timers = [8_000, 8_443].flatMap((port) => scene.keepAliveTimers(port))
          // Others have data in flight at times, and then another timer. The idle ones have none.
          return timers.length >= 2 * EACH && timers.every((timer) => timer <= 2_000)
        })
        await guard.sees(ALL)
        const gone = range(0, ALL).filter((n) => n % 2 === 0)
        const { startedAt, doneAt } = rig.cut(gone)
        const ends = await guard.ends(gone.length, D + 5_000)
        for (const [index, { kind, protocol }] of KINDS.entries()) {
          const mine = range(index * EACH, (index + 1) * EACH).map((n) => rig.clientAddress(n))
          const times = ends
            .filter(({ address }) => mine.includes(address))
            .map(({ at }) => at - startedAt)
          console.log(
            `${name}, ${protocol}, ${kind}: ${times.length} ended, ${Math.min(...times)} - ${Math.max(...times)} ms`,
          )
        }
        for (const { at } of ends) expect(at - doneAt).toBeLessThanOrEqual(D + 1_000)
        // HAProxy tells an HTTP/1 application of a client's end when that writes next: one that never does keeps its response.
        const untold = name === 'haproxy' ? EACH / 2 : 0
        await delay(D)
        console.log(`${name}: ${scene.live(9_000)} of ${ALL} responses of the application`)
        expect(
          guard
            .closes()
            .map(({ address }) => address)
            .sort(),
        ).toEqual(gone.map((n) => rig.clientAddress(n)).sort())
        expect(scene.established(8_000) + scene.established(8_443)).toBe(ALL - gone.length)
        expect(scene.live(9_000)).toBe(ALL - gone.length + untold)
      },
    )
  }
})
