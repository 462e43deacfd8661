// `npm run bench:side-by-side [-- --clients 2000 --trials 3]`: one channel over Redis on two
// processes, with this library, with Socket.IO and its adapter for Redis streams, and with
// better-sse and pub/sub by hand. How long until the last client has a message, what it costs, and
// what is lost while Redis is killed and started again.
import { parseArgs } from 'node:util'
import { startProcess } from '../../../src/testing/index.js'
import { delay } from '../../../test/support/delay.js'
import { type EngineServer, startRedis } from '../../../test/support/engine-servers.js'
import { waitFor } from '../../../test/support/wait-for.js'
import { commandLine, describeMachine, machine } from '../../report/machine.js'
import { markdownTable } from '../../report/table.js'
import { NAMES, type Name } from './libraries.js'

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '2000' },
    trials: { type: 'string', default: '3' },
  },
})
const clientCount = Math.min(Number(values.clients), 10_000)
const PROCESSES = 2
/** Messages a second: the clients' process must have time left, for it measures. */
const RATE = 10
const WARM_UP = 30
const MEASURED = 200
/** Published while Redis is killed after 5 s, is away for 1 s, and comes back. */
const DISTURBED = 150
const RESTART_AFTER = 5_000
const AWAY = 1_000
/** Longer than a publisher waits for an answer. */
const SETTLED = 7_000

type Arrivals = [n: number, { count: number; repeated: number; lastAt: number }][]

interface Outcome {
  /** From publish to the last client, ms, sorted. */
  readonly times: number[]
  /** Microseconds for each message and client, both server processes together. */
  readonly cpu: number
  /** Of the messages while Redis was away: how many never came to a client. */
  readonly lost: number
  /** How many came to a client more than once. */
  readonly repeated: number
  /** Of the lost ones, those of which the publisher was told nothing. */
  readonly lostInSilence: number
}

async function trial(name: Name): Promise<Outcome> {
  const redis = await startRedis()
  const servers = Array.from({ length: PROCESSES }, () =>
    startProcess(new URL('./server.ts', import.meta.url)),
  )
  const clients = startProcess(new URL('./clients.ts', import.meta.url))
  try {
    const url = `redis://127.0.0.1:${redis.port}`
    const ports = await Promise.all(
      servers.map((server) => server.call<number>('start', name, url)),
    )
    await clients.call('open', name === 'socket.io' ? name : 'sse', ports, clientCount)
    await waitFor('all clients', async () => {
      const sizes = await Promise.all(servers.map((server) => server.call<number>('size')))
      const there = sizes.reduce((sum, size) => sum + size, 0)
      return there === clientCount && (await clients.call('connected')) === clientCount
    })
    const [publisher] = servers as [(typeof servers)[number]]
    const publish = (first: number, count: number): Promise<number[]> =>
      publisher.call('publish', first, count, RATE)
    await publish(1, WARM_UP)
    await Promise.all(servers.map((server) => server.call('resetCpu')))
    const first = WARM_UP + 1
    const published = await publish(first, MEASURED)
    await delay(500)
    const used = await Promise.all(servers.map((server) => server.call<number>('cpu')))
    const disturbed = first + MEASURED
    await Promise.all([
      delay(RESTART_AFTER).then(() => bounce(redis)),
      publish(disturbed, DISTURBED).then(() => delay(SETTLED)),
    ])
    const reported = new Set(await publisher.call<number[]>('reported'))
    const arrivals = new Map(await clients.call<Arrivals>('arrivals'))
    if ((await clients.call('ended')) !== 0) throw new Error(`${name}: clients were disconnected`)
    const arrivalOf = (n: number) => arrivals.get(n) ?? { count: 0, repeated: 0, lastAt: NaN }
    const times = published.map((at, index) => {
      const { count, lastAt } = arrivalOf(first + index)
      if (count !== clientCount) throw new Error(`${name}: lost ${first + index} without a cause`)
      return lastAt - at
    })
    const numbers = Array.from({ length: DISTURBED }, (_, index) => disturbed + index)
    const missing = (some: readonly number[]): number =>
      some.reduce((sum, n) => sum + clientCount - arrivalOf(n).count, 0)
    return {
      times: times.sort((a, b) => a - b),
      cpu: used.reduce((sum, each) => sum + each, 0) / MEASURED / clientCount,
      lost: missing(numbers),
      repeated: numbers.reduce((sum, n) => sum + arrivalOf(n).repeated, 0),
      lostInSilence: missing(numbers.filter((n) => !reported.has(n))),
    }
  } finally {
    clients.stop()
    for (const server of servers) server.stop()
    await redis.stop()
  }
}

/** Kills Redis, and starts it again with the data that it had written. */
async function bounce(redis: EngineServer): Promise<void> {
  await redis.kill()
  await delay(AWAY)
  await redis.start()
}

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] as number

const outcomes = new Map<Name, Outcome[]>(NAMES.map((name) => [name, []]))
for (let n = 0; n < Number(values.trials); n++) {
  // Each library is the first of a round in turn.
  const order = NAMES.map((_, index) => NAMES[(index + n) % NAMES.length] as Name)
  for (const name of order) outcomes.get(name)?.push(await trial(name))
}
const rows = [...outcomes].map(([name, all]) => {
  const quantile = (of: number): string =>
    median(all.map(({ times }) => times[Math.floor(times.length * of)] as number)).toFixed(1)
  const each = (of: 'lost' | 'lostInSilence' | 'repeated'): string =>
    all.map((outcome) => outcome[of]).join(', ')
  const cpu = median(all.map(({ cpu }) => cpu)).toFixed(2)
  return [
    name,
    quantile(0.5),
    quantile(0.99),
    cpu,
    each('lost'),
    each('lostInSilence'),
    each('repeated'),
  ]
})
console.log(`${describeMachine(machine(commandLine('bench:side-by-side')))}\n`)
console.log(
  `${clientCount} clients on ${PROCESSES} processes, ${RATE} messages a second. CPU of the two server` +
    ' processes, without Redis and the clients. Redis writes each entry of a stream to disk before' +
    ' it answers (appendfsync always); pub/sub writes nothing.\n',
)
console.log(
  markdownTable(
    [
      'library',
      'to the last client, p50, ms',
      'p99, ms',
      'CPU of a message and client, µs',
      `lost of ${DISTURBED * clientCount}, by trial`,
      'of these, without an error for the publisher',
      'repeated',
    ],
    rows,
  ),
)
process.exit()
