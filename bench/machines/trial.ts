// Clients on several servers, events at a rate, and servers that are killed. Counts lost and
// repeated events.
import type { Fleet } from './fleet.js'
import { Tally, Viewer } from './viewer.js'

export interface TrialOptions {
  /** Summed over all servers. */
  readonly clients: number
  /** Events per second. */
  readonly rate: number
  readonly seconds: number
  /** Seconds between kills; 0 for none. */
  readonly killEvery: number
}

export interface TrialResult {
  readonly published: number
  /** Publications that were refused and repeated, and those with an unknown outcome. */
  readonly refused: number
  readonly uncertain: number
  readonly kills: number
  readonly tally: Tally
  /** Clients that do not have the last event. */
  readonly behind: number
  readonly reads: number
}

/** How long clients may take to get the last event, in milliseconds. */
const PATIENCE = 30_000

export async function trial(fleet: Fleet, options: TrialOptions): Promise<TrialResult> {
  const { clients, rate, seconds, killEvery } = options
  const tally = new Tally()
  const viewers = Array.from({ length: clients }, (_, i) => new Viewer(tally, fleet.ports, i))
  await until(() => tally.connections >= clients)
  let published = 0
  let refused = 0
  let uncertain = 0
  let kills = 0
  const publish = async (n: number): Promise<void> => {
    for (;;) {
      try {
        return await fleet.publish(n)
      } catch (error) {
        if ((error as { code?: string }).code !== 'ERR_HUB_DOWN') {
          uncertain += 1
          return
        }
        refused += 1
        await pause(100)
      }
    }
  }
  const startedAt = Date.now()
  const end = startedAt + seconds * 1_000
  let nextKill = killEvery > 0 ? startedAt + killEvery * 1_000 : Number.POSITIVE_INFINITY
  const under: Promise<void>[] = []
  while (Date.now() < end) {
    const due = Math.floor(((Date.now() - startedAt) / 1_000) * rate)
    while (published < due) under.push(publish(++published))
    if (Date.now() >= nextKill && end - Date.now() > 2_000) {
      nextKill += killEvery * 1_000
      kills += 1
      under.push(fleet.killOne())
    }
    await pause(5)
  }
  await Promise.all(under)
  await until(() => viewers.every(({ last }) => last === published)).catch(() => {})
  const behind = viewers.filter(({ last }) => last !== published).length
  const reads = await fleet.reads()
  for (const viewer of viewers) viewer.stop()
  return { published, refused, uncertain, kills, tally, behind, reads }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + PATIENCE
  while (!condition()) {
    if (Date.now() > end) throw new Error('The clients did not come in time.')
    await pause(20)
  }
}
