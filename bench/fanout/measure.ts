// One trial with one driver: a server on one core, the load generator on the other.
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { type Peer, startPeer } from '../../test/support/rpc.js'
import { waitFor } from '../../test/support/wait-for.js'
import { program } from '../load/build.js'
import { Clients } from '../load/clients.js'
import type { Used } from './server.js'
import type { Trial } from './trials.js'

/** The numbers of one round. CPU (and time, in a race) in microseconds for each event (or ms a second of one core, idle); bytes a connection. */
export type Sample = Record<string, number>

const SERVER_CORE = '0'
const LOAD_CORE = availableParallelism() > 1 ? '1' : '0'

/** What a driver's name stands for beside its library. */
const VARIANTS: Record<string, { driver: string; env: Record<string, string> }> = {
  'tcp-sse-slow': { driver: 'tcp-sse', env: { TCP_SSE_NO_FAST_PATH: '1' } },
  'tcp-sse-no-heartbeat': { driver: 'tcp-sse', env: { BENCH_HEARTBEAT: 'off' } },
}

/** Runs it once. */
export async function measure(trial: Trial, name: string): Promise<Sample> {
  if (name === 'floor') return measureFloor(trial)
  const { driver, env } = VARIANTS[name] ?? { driver: name, env: {} }
  const prefix = ['taskset', '-c', SERVER_CORE]
  const server = startPeer(new URL('./server.ts', import.meta.url), prefix, {
    ...env,
    NODE_OPTIONS: '--expose-gc',
  })
  try {
    const { port, path } = await server.call<{ port: number; path: string }>('serve', driver)
    const empty = await server.call<{ heapUsed: number; rss: number }>('memory')
    const clients = await Clients.open(LOAD_CORE, port, trial.clients, path)
    await waitFor(
      'the clients',
      async () => (await server.call<number>('connected')) >= trial.clients,
      60_000,
    )
    const sample = await take(server, trial, empty)
    const load = await clients.close()
    if (trial.what === 'broadcast' && load.bytes < trial.rounds * trial.clients * trial.bytes) {
      throw new Error(`${name}: the clients have had ${load.bytes} bytes only`)
    }
    return sample
  } finally {
    server.stop()
  }
}

async function take(
  server: Peer,
  trial: Trial,
  empty: { heapUsed: number; rss: number },
): Promise<Sample> {
  const { what, clients, rounds } = trial
  if (what === 'memory') {
    const full = await server.call<{ heapUsed: number; rss: number }>('memory')
    return {
      heap: (full.heapUsed - empty.heapUsed) / clients,
      rss: (full.rss - empty.rss) / clients,
    }
  }
  if (what === 'idle') {
    await server.call<Used>('idle', 16_000)
    const { user, system, wall } = await server.call<Used>('idle', trial.gapMs)
    return { 'percent of a core': (user + system) / 10 / wall }
  }
  await server.call(what, { ...trial, rounds: Math.max(5, Math.ceil(rounds / 4)) })
  const used = await server.call<Used>(what, trial)
  const events = rounds * clients
  const wall = what === 'stream' ? { wall: (used.wall * 1_000) / events } : {}
  return {
    ...wall,
    user: used.user / events,
    system: used.system / events,
    total: (used.user + used.system) / events,
    'loop p50': used.p50,
    'loop p99': used.p99,
    'loop max': used.max,
  }
}

/** The same from C, without HTTP. */
async function measureFloor({ clients, rounds, bytes, gapMs }: Trial): Promise<Sample> {
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn(
    'taskset',
    ['-c', SERVER_CORE, program('floor'), String(clients)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const port = Number((await lines.next()).value)
    const load = await Clients.open(LOAD_CORE, port, clients, '/')
    const ask = async (count: number): Promise<{ user: number; system: number }> => {
      child.stdin.write(`${count} ${bytes + 14} ${gapMs * 1_000}\n`)
      return JSON.parse((await lines.next()).value as string)
    }
    await ask(Math.max(5, Math.ceil(rounds / 4)))
    const { user, system } = await ask(rounds)
    await load.close()
    const events = rounds * clients
    return {
      user: (user * 1e6) / events,
      system: (system * 1e6) / events,
      total: ((user + system) * 1e6) / events,
    }
  } finally {
    child.kill('SIGKILL')
  }
}
