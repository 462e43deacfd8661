// Kills servers and restarts the engine while clients follow one channel, and reports which clients
// miss which events.
//
//   npx tsx bench/engines/run.ts redis|nats [clients a server] [seconds] [events a second]
import { createChannel } from '../../src/index.js'
import { startProcess } from '../../src/testing/index.js'
import { type EngineServer, startNats, startRedis } from '../../test/support/engine-servers.js'
import { waitFor } from '../../test/support/wait-for.js'
import type { ClientsReport } from './clients.js'
import { Cluster } from './cluster.js'
import { type EngineName, openHub } from './engine.js'

const SERVERS = 3
const [engine = 'redis', each = '200', seconds = '60', rate = '200'] = process.argv.slice(2)
const perServer = Math.min(Number(each), 1_000)
const duration = Math.min(Number(seconds), 300) * 1_000
const perSecond = Math.min(Number(rate), 1_000)

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Kills a server every ten seconds, and the engine after a third and two thirds of the time. */
async function disturb(cluster: Cluster, server: EngineServer, until: number): Promise<string[]> {
  const log: string[] = []
  const restarts = [duration / 3, (duration * 2) / 3].map((after) => until - duration + after)
  for (let next = until - duration + 5_000, index = 0; next < until - 2_000; next += 10_000) {
    while (restarts[0] !== undefined && restarts[0] <= next) {
      await pause(Math.max(0, (restarts.shift() as number) - performance.now()))
      await server.restart()
      log.push('engine')
    }
    await pause(Math.max(0, next - performance.now()))
    cluster.kill(index % SERVERS)
    log.push(`server ${index % SERVERS}`)
    await pause(1_000)
    await cluster.start(index++ % SERVERS)
  }
  return log
}

/** Publishes numbers at an even rate. Returns those that are not certainly in the log. */
async function publish(server: EngineServer, until: number) {
  const hub = await openHub(engine as EngineName, server.port)
  const channel = createChannel({ hub, name: 'news', history: { maxEvents: 20_000 } })
  const failed = new Map<number, string>()
  const pending: Promise<unknown>[] = []
  let number = 0
  const began = performance.now()
  while (performance.now() < until) {
    const due = Math.floor(((performance.now() - began) / 1_000) * perSecond)
    while (number < due) {
      const mine = ++number
      const sent = channel.broadcast({ data: `n${mine}` })
      pending.push(sent.catch(({ code }) => failed.set(mine, code)))
    }
    await pause(5)
  }
  await Promise.all(pending)
  return { number, failed, close: () => hub.close() }
}

/** `3-7, 9`. */
function ranges(numbers: number[]): string {
  const sorted = [...numbers].sort((a, b) => a - b)
  const found: [number, number][] = []
  for (const each of sorted) {
    const last = found.at(-1)
    if (last !== undefined && each === last[1] + 1) last[1] = each
    else found.push([each, each])
  }
  return found.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ')
}

const server = await (engine === 'nats' ? startNats() : startRedis())
const cluster = new Cluster(engine as EngineName, server)
const clients = startProcess(new URL('./clients.ts', import.meta.url))
try {
  for (let index = 0; index < SERVERS; index++) await cluster.start(index)
  const count = SERVERS * perServer
  await clients.call('open', cluster.ports, count)
  await waitFor('all clients', async () => (await clients.call('primed')) === count, 60_000)
  const until = performance.now() + duration
  const [log, { number, failed, close }] = await Promise.all([
    disturb(cluster, server, until),
    publish(server, until),
  ])
  let last = number
  while (failed.has(last)) last -= 1
  const all = async (): Promise<boolean> =>
    (await clients.call<ClientsReport>('report', last)).there === count
  await waitFor('the last event', all, 60_000).catch((error) => console.error(String(error)))
  const report = await clients.call<ClientsReport>('report', last)
  const lost = report.missing.filter(([each]) => !failed.has(each))
  console.log(
    JSON.stringify({
      engine,
      clients: count,
      events: number,
      notTaken: [...failed.values()].length,
      codes: [...new Set(failed.values())],
      received: report.received,
      lost: lost.reduce((sum, [, some]) => sum + some, 0),
      lostNumbers: ranges(lost.map(([each]) => each)),
      doubles: report.doubles,
      behind: count - report.there,
      reconnects: report.reconnects,
      told: report.told,
      outcomes: await cluster.outcomes(),
      disturbed: log.join(', '),
    }),
  )
  process.exitCode = lost.length + report.doubles + (count - report.there) === 0 ? 0 : 1
  await close()
} finally {
  clients.stop()
  cluster.close()
  await server.stop()
}
process.exit()
