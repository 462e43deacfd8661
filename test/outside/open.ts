// The clients of the incident.
import type { Reading } from '../../src/testing/index.js'
import { waitFor } from '../support/wait-for.js'
import { range, type Scene } from './scene.js'

export const PORT = 8_000

/** What the clients of a server do. */
export interface Incident {
  /** What the server's program sends: idle, ticks, busy or flood. */
  readonly kind: string
  /** How the clients that vanish have read before; those that never do have a shut window. */
  readonly first?: Reading
  /** How the clients that stay read. */
  readonly rest?: Reading
  /** More flags of the guard. */
  readonly flags?: readonly string[]
}

/** Opens so many clients. The first half are those that will vanish. */
export async function open(
  scene: Scene,
  { kind, first = 'all', rest = 'all' }: Incident,
  count: number,
): Promise<void> {
  const clients = scene.rig.spawnClients(new URL('../../src/testing/clients.ts', import.meta.url))
  const [half, rig] = [count / 2, scene.rig]
  const target = { host: rig.serverAddress, port: PORT, path: `/events?kind=${kind}` }
  const addresses = (from: number, to: number): string[] =>
    range(from, to).map((n) => rig.clientAddress(n))
  await clients.call('open', { ...target, addresses: addresses(0, half), read: first })
  await clients.call('open', { ...target, addresses: addresses(half, count), read: rest })
  await waitFor('all responses', () => scene.live(PORT) === count, 60_000)
}
