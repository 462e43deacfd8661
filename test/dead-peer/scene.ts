// One server and its clients in a rig.
import type { EventStreamOptions } from '../../src/index.js'
import type { OpenOptions } from '../../src/testing/clients.js'
import type { ChildProcessHandle, Fault, Rig } from '../../src/testing/index.js'
import type { Opened } from '../support/server.js'
import { waitFor } from '../support/wait-for.js'

/** A running server with clients connected to it. */
export interface Scene {
  server: ChildProcessHandle
  clients: ChildProcessHandle
  indexes: number[]
}

/** Starts a server and connects clients; settles when every client has a stream. */
export async function stage(
  rig: Rig,
  count: number,
  options: EventStreamOptions,
  open: Partial<OpenOptions> = {},
  listen: Record<string, unknown> = {},
): Promise<Scene> {
  const server = rig.spawnServer(new URL('../support/server.ts', import.meta.url))
  const clients = rig.spawnClients(new URL('../../src/testing/clients.ts', import.meta.url))
  const port = await server.call<number>('listen', { options, protocol: open.protocol, ...listen })
  const indexes = Array.from({ length: count }, (_, index) => index)
  const addresses = indexes.map((index) => rig.clientAddress(index))
  await clients.call('open', { addresses, host: rig.serverAddress, port, ...open })
  await waitFor('streams', async () => (await opened(server)).length === count)
  return { server, clients, indexes }
}

export const opened = (server: ChildProcessHandle): Promise<Opened[]> =>
  server.call<Opened[]>('streams')

/** Waits until every stream (or those of some addresses) is closed, and returns them. */
export async function allClosed(
  server: ChildProcessHandle,
  within: number,
  addresses?: string[],
): Promise<Opened[]> {
  const isMeant = ({ address }: Opened): boolean => addresses?.includes(address) ?? true
  const isOpen = (each: Opened): boolean => isMeant(each) && each.closedAt === undefined
  try {
    return await waitFor(
      'closes',
      async () => {
        const all = await opened(server)
        return !all.some(isOpen) && all.filter(isMeant)
      },
      within,
    )
  } catch (error) {
    const snapshots = await server.call<unknown[]>('snapshots')
    const open = (await opened(server)).flatMap((each, index) =>
      isOpen(each) ? [JSON.stringify([each, snapshots[index]])] : [],
    )
    const some = open.slice(0, 3).join('\n')
    throw new Error(`${(error as Error).message}: ${open.length} are open\n${some}`)
  }
}

/**
 * Milliseconds from a fault to each close, and a line of them for people. They count from the return of the command that
 * makes the fault. On a busy machine the command takes most of a second, and the fault takes effect near its end.
 */
export function times(title: string, closed: Opened[], { startedAt, doneAt }: Fault): number[] {
  const sorted = closed.map(({ closedAt = 0 }) => closedAt - doneAt).sort((a, b) => a - b)
  const at = (share: number): string =>
    ((sorted[Math.floor((sorted.length - 1) * share)] ?? 0) / 1000).toFixed(2)
  console.log(
    `${title}: ${sorted.length} closed, min ${at(0)} s, median ${at(0.5)} s, max ${at(1)} s ` +
      `(cut took ${doneAt - startedAt} ms)`,
  )
  return sorted
}

/**
 * When a silent peer must be closed, in ms after a fault: within D + 1 s, not counting the time for which the server's
 * process was given no processor.
 */
export async function boundOf(
  { server }: Pick<Scene, 'server'>,
  { doneAt }: Fault,
  detectWithin: number,
): Promise<number> {
  return detectWithin + 1_000 + (await server.call<number>('blockedSince', doneAt))
}

/** How many of each reason. */
export function reasons(closed: Opened[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { info } of closed) {
    const reason = info?.reason ?? 'open'
    counts[reason] = (counts[reason] ?? 0) + 1
  }
  return counts
}

export { delay } from '../support/delay.js'
