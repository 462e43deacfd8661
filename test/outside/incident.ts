// The incident that this library began with: clients of a server that nobody can change vanish, and the command is beside
// it.
import { expect } from 'vitest'
import { delay } from '../support/delay.js'
import { waitFor } from '../support/wait-for.js'
import { type Incident, open, PORT } from './open.js'
import { range, type Scene } from './scene.js'

export const D = 8_000
/** By hand, more: TCP_SSE_CLIENTS=1000 npx vitest run --project dead-peer test/outside/incident.test.ts */
export const CLIENTS = Number(process.env.TCP_SSE_CLIENTS ?? 30)

/** Half of the clients vanish. The guard ends their connections in time, and no other one; the server learns of it. */
export async function halfVanish(
  scene: Scene,
  name: string,
  command: readonly string[],
  incident: Incident,
): Promise<void> {
  const { kind, flags = [] } = incident
  await scene.serve(PORT, command)
  const guard = await scene.guard('--port', `${PORT}`, '--detect-within', `${D}ms`, ...flags)
  await open(scene, incident, CLIENTS)
  await guard.sees(CLIENTS)
  const gone = range(0, CLIENTS / 2)
  if (incident.first === 'never') {
    const shut = (): boolean => guard.metric('connections', 'verdict="slow"') >= gone.length
    await waitFor('their windows', shut)
  }
  const { startedAt, doneAt } = scene.rig.cut(gone)
  const ends = await guard.ends(gone.length, D + 5_000)
  const last = Math.max(...ends.map(({ at }) => at))
  console.log(`${name}, ${kind}: ended after ${last - startedAt} ms`)
  expect(guard.late(doneAt, D + 1_000)).toEqual([])
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
}
