// A server that stood still for 20 s, stopped or with a blocked event loop: over TLS, HTTP/2, Unix sockets, every adapter and the guard.
import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { capabilities } from '../../src/index.js'
import { type ChildProcessHandle, Rig } from '../../src/testing/index.js'
import { describeWithRig } from '../support/describe-with-rig.js'
import type { Served, ServedStream } from '../support/framework-peer.js'
import { frameworks, PROTOCOLS } from '../support/framework-servers.js'
import { waitFor } from '../support/wait-for.js'
import { delay } from './scene.js'

const D = 6_000
const BOUND = D + 1_000
const HALT = 20_000
const WITHIN = 120_000

const withKernel = it.runIf(capabilities().detectionGuaranteed)
const peer = new URL('../support/framework-peer.ts', import.meta.url)

/** What becomes of the clients of each server, by their order; every other one gets events meanwhile. */
const FATES = ['vanishes idle', 'vanishes busy', 'lives idle', 'lives busy'] as const

/** @returns when the server was at work again */
async function halt(server: ChildProcessHandle, how: 'stopped' | 'blocked'): Promise<number> {
  if (how === 'blocked') await server.call('block', HALT)
  else {
    server.signal('SIGSTOP')
    await delay(HALT)
    server.signal('SIGCONT')
  }
  return Date.now()
}

const indexesOf = (fate: string, count: number): number[] =>
  Array.from({ length: count }, (_, index) => index).filter((index) =>
    FATES[index % FATES.length]?.includes(fate),
  )

for (const how of ['stopped', 'blocked'] as const) {
  describeWithRig(`after its server was ${how} for 20 s`, () => {
    let rig: Rig
    let streams: ServedStream[]
    let since: number

    beforeAll(async () => {
      rig = new Rig()
      const server = rig.spawnServer(peer)
      const clients = rig.spawnClients(new URL('../../src/testing/clients.ts', import.meta.url))
      const served = [
        ...(await server.call<Served[]>('serve', D)),
        ...(await server.call<Served[]>('serveGuarded', D)),
      ]
      const all = (): Promise<ServedStream[]> => server.call('streams')
      let count = 0
      for (const { protocol, port } of served) {
        // One after the other, so that a stream's place tells its client.
        for (const _ of FATES) {
          const addresses = [rig.clientAddress(count++)]
          await clients.call('open', { addresses, host: rig.serverAddress, port, protocol })
          await waitFor('the stream', async () => (await all()).length === count)
        }
      }
      await server.call('produce', indexesOf('busy', count))
      const returned = halt(server, how)
      rig.cut(indexesOf('vanishes', count))
      since = await returned
      await delay(BOUND + 2_000)
      streams = await all()
    }, WITHIN)
    afterAll(() => rig.close())

    for (const { name, protocols } of [...frameworks, { name: 'guard', protocols: PROTOCOLS }]) {
      for (const protocol of protocols) {
        withKernel(
          `${name} | ${protocol}: those that vanished are closed, and no living client`,
          () => {
            const own = streams.filter((each) => each.name === name && each.protocol === protocol)
            const { length } = FATES
            expect(own.length).toBe(length)
            expect(own.map(({ reason }) => reason)).toEqual([
              'peer-dead',
              'peer-dead',
              undefined,
              undefined,
            ])
            const took = own.slice(0, 2).map(({ closedAt = Infinity }) => closedAt - since)
            console.log(`${how}, ${name} | ${protocol}: ${took.join(', ')} ms after the return`)
            expect(Math.max(...took)).toBeLessThanOrEqual(BOUND)
          },
        )
      }
    }
  })

  describeWithRig(`after a server on a Unix socket was ${how} for 20 s`, () => {
    withKernel(
      'its reading client is not closed, and one that went meanwhile is',
      async () => {
        const folder = mkdtempSync(join(tmpdir(), 'halted-'))
        const rig = new Rig()
        try {
          const server = rig.spawnServer(peer)
          const path = join(folder, 'socket')
          // Shorter than the halt: what the client took meanwhile could not be seen.
          await server.call('serveUnix', path, D, 3_000)
          const stays = await connect(path)
          const goes = await connect(path)
          await server.call('produce', [0, 1])
          const returned = halt(server, how)
          goes.leave()
          const since = await returned
          const [one, other] = await waitFor('the end of the one that went', async () => {
            const all = await server.call<ServedStream[]>('streams')
            return all[1]?.closedAt !== undefined && all
          })
          expect(one?.reason).toBeUndefined()
          expect(other?.reason).toMatch(/^client-(closed|reset)$/)
          expect((other?.closedAt ?? Infinity) - since).toBeLessThanOrEqual(1_000)
          await delay(BOUND)
          const [later] = await server.call<ServedStream[]>('streams')
          expect(later?.reason).toBeUndefined()
          const before = stays.bytes()
          await waitFor('more events', () => stays.bytes() > before)
          stays.leave()
        } finally {
          rig.close()
          rmSync(folder, { recursive: true })
        }
      },
      WITHIN,
    )
  })
}

function connect(socketPath: string): Promise<{ bytes: () => number; leave: () => void }> {
  return new Promise((resolve, reject) => {
    const request = http.get({ socketPath, path: '/', agent: false }, (response) => {
      let bytes = 0
      response.on('error', () => {})
      response.once('data', () =>
        resolve({ bytes: () => bytes, leave: () => void response.destroy() }),
      )
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
      })
    })
    request.on('error', reject)
  })
}
