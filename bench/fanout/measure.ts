// One trial with one driver: a server on one core, the load generator on the other.
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { type ChildProcessHandle, startProcess } from '../../src/testing/index.js'
import { waitFor } from '../../test/support/wait-for.js'
import { program } from '../load/build.js'
import { Clients } from '../load/clients.js'
import { measureNchan } from './nchan.js'
import type { Used } from './server.js'
import type { Trial } from './trials.js'

/**
 * The results of one round. CPU (and time, in a race) in microseconds per event, or, when idle, in
 * milliseconds per second of one core. Memory in bytes per connection.
 */
export type Sample = Record<string, number>

const SERVER_CORE = '0'
const LOAD_CORE = availableParallelism() > 1 ? '1' : '0'

/** What a driver's name means beside its library. */
const VARIANTS: Record<string, { driver: string; env: Record<string, string> }> = {
  'tcp-sse-slow': { driver: 'tcp-sse', env: { TCP_SSE_NO_FAST_PATH: '1' } },
  'tcp-sse-no-heartbeat': { driver: 'tcp-sse', env: { BENCH_HEARTBEAT: 'off' } },
}

/** Runs it once. */
export async function measure(trial: Trial, name: string): Promise<Sample> {
  if (name === 'floor') return measureFloor(trial)
  if (name === 'nchan') return nchanSample(trial)
  const { driver, env } = VARIANTS[name] ?? { driver: name, env: {} }
  const prefix = ['taskset', '-c', SERVER_CORE]
  const server = startProcess(new URL('./server.ts', import.meta.url), prefix, {
    ...env,
    NODE_OPTIONS: '--expose-gc',
  })
  try {
    const { port, path } = await server.call<{ port: number; path: string }>('serve', driver, {
      individually: trial.what === 'unicast' || trial.what === 'stream',
      greeting: trial.what === 'churn' ? 'x'.repeat(trial.bytes) : undefined,
    })
    if (trial.what === 'churn') return await measureChurn(server, trial, port, path)
    const empty = await server.call<{ heapUsed: number; rss: number }>('memory')
    const clients = await Clients.open(LOAD_CORE, port, trial.clients, path)
    await waitFor(
      'the clients',
      async () => (await server.call<number>('connected')) >= trial.clients,
      60_000,
    )
    const sample = await take(server, trial, empty, clients)
    const load = await clients.close()
    if (trial.what === 'broadcast' && load.bytes < trial.rounds * trial.clients * trial.bytes) {
      throw new Error(`${name}: the clients have had ${load.bytes} bytes only`)
    }
    return sample
  } finally {
    server.stop()
  }
}

/** CPU of a connection's whole life, from its accept to its close. */
async function measureChurn(
  server: ChildProcessHandle,
  { clients }: Trial,
  port: number,
  path: string,
): Promise<Sample> {
  const run = async (total: number): Promise<void> => {
    const args = ['-c', LOAD_CORE, program('churn'), String(port), String(total), '32', path]
    const child = spawn('taskset', args, { stdio: ['ignore', 'ignore', 'inherit'] })
    const [code] = await once(child, 'exit')
    if (code !== 0) throw new Error(`the load generator ended with ${code}`)
  }
  await run(warmUp(clients))
  await server.call('collect')
  const before = await server.call<NodeJS.CpuUsage>('cpu')
  await run(clients)
  const after = await server.call<NodeJS.CpuUsage>('cpu')
  const user = (after.user - before.user) / clients
  const system = (after.system - before.system) / clients
  return { user, system, total: user + system }
}

async function take(
  server: ChildProcessHandle,
  trial: Trial,
  empty: { heapUsed: number; rss: number },
  clients: Clients,
): Promise<Sample> {
  const { what, clients: count, rounds } = trial
  if (what === 'memory') {
    const full = await server.call<{ heapUsed: number; rss: number }>('memory')
    return {
      heap: (full.heapUsed - empty.heapUsed) / count,
      rss: (full.rss - empty.rss) / count,
    }
  }
  if (what === 'idle') {
    // After a collection V8 collects up to three times more in an idle process, 8 s apart (MemoryReducer).
    await server.call('collect')
    await server.call<Used>('idle', 30_000)
    const { user, system, wall } = await server.call<Used>('idle', trial.gapMs)
    return { 'percent of a core': (user + system) / 10 / wall }
  }
  await server.call(what, { ...trial, rounds: warmUp(rounds) })
  await server.call('collect')
  const before = clients.cpu()
  const used = await server.call<Used>(what, trial)
  const load = (clients.cpu() - before) / (used.wall / 1_000)
  // A second run for the delays, whose clock would add to the CPU time.
  const delays = await server.call<Used>(what, {
    ...trial,
    rounds: warmUp(rounds),
    delaysToo: true,
  })
  const events = rounds * count
  const wall = what === 'stream' ? { wall: (used.wall * 1_000) / events } : {}
  return {
    ...wall,
    user: used.user / events,
    system: used.system / events,
    total: (used.user + used.system) / events,
    'loop p50': delays.p50,
    'loop p99': delays.p99,
    'loop max': delays.max,
    'load CPU %': load * 100,
  }
}

/** Runs rounds until the compiler has optimized all code. */
function warmUp(rounds: number): number {
  return Math.max(5, Math.ceil(rounds / 2))
}

async function nchanSample(trial: Trial): Promise<Sample> {
  const { user, system } = await measureNchan(trial, { server: SERVER_CORE, load: LOAD_CORE })
  const events = trial.rounds * trial.clients
  return { user: user / events, system: system / events, total: (user + system) / events }
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
    await ask(warmUp(rounds))
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
