// Several servers, one channel: `npm run demo:machines [-- --clients 60] [--seconds 30]`.
//
// Three servers share a channel over Redis. One server is killed, then Redis itself. The table
// shows which events arrived.
import { parseArgs } from 'node:util'
import type { ClientsReport } from '../bench/engines/clients.js'
import { Cluster } from '../bench/engines/cluster.js'
import { openHub } from '../bench/engines/engine.js'
import { createChannel } from '../src/index.js'
import { startProcess } from '../src/testing/index.js'
import { engineMissing, startRedis } from '../test/support/engine-servers.js'
import { waitFor } from '../test/support/wait-for.js'

const RATE = 50

const WORDS = {
  kill: 'server 2 is killed',
  restart: 'server 2 is started again',
  redis: 'Redis is killed and started again',
}

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '60' },
    seconds: { type: 'string', default: '30' },
  },
})
const count = wholeNumber('clients', values.clients, 3, 1_000)
const seconds = wholeNumber('seconds', values.seconds, 10, 300)

const missing = engineMissing('redis-server')
if (missing === undefined) await demo()
else console.log(`The demo needs redis-server: ${missing}. On Debian: apt-get install redis-server`)
process.exit()

async function demo(): Promise<void> {
  const redis = await startRedis()
  const cluster = new Cluster('redis', redis)
  const clients = startProcess(new URL('../bench/engines/clients.ts', import.meta.url))
  const hub = await openHub('redis', redis.port)
  try {
    for (let index = 0; index < 3; index++) await cluster.start(index)
    await clients.call('open', cluster.ports, count)
    await waitFor('all clients', async () => (await clients.call('primed')) === count, 30_000)
    console.log(`${count} clients on three servers, ${RATE} events per second.\n`)
    console.log('second | server 1  server 2  server 3 | published  received by all |  lost  twice')
    const channel = createChannel({ hub, name: 'news', history: { maxEvents: 10_000 } })
    let published = 0
    let refused = 0
    const timer = setInterval(() => {
      channel.broadcast({ data: `n${++published}` }).catch(() => refused++)
    }, 1_000 / RATE)
    for (let second = 1; second <= seconds; second++) {
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      const what = faultAt(second)
      if (what === 'kill') cluster.kill(1)
      if (what === 'restart') void cluster.start(1)
      if (what === 'redis') void redis.restart()
      await row(second, cluster, published, clients.call<ClientsReport>('report', published), what)
    }
    clearInterval(timer)
    const all = async (): Promise<boolean> =>
      (await clients.call<ClientsReport>('report', published)).there === count
    await waitFor('the last event', all, 20_000)
    const {
      received,
      doubles,
      missing: lost,
    } = await clients.call<ClientsReport>('report', published)
    const expected = published * count
    console.log(
      `\n${published} events for ${count} clients: ${expected} expected, ${received} received,`,
    )
    console.log(`${lost.length} lost, ${doubles} twice, ${refused} refused by the hub.`)
  } finally {
    clients.stop()
    cluster.close()
    await hub.close()
    await redis.stop()
  }
}

function faultAt(second: number): 'kill' | 'restart' | 'redis' | undefined {
  const third = Math.floor(seconds / 3)
  if (second === third) return 'kill'
  if (second === third + 3) return 'restart'
  return second === 2 * third ? 'redis' : undefined
}

async function row(
  second: number,
  cluster: Cluster,
  published: number,
  report: Promise<ClientsReport>,
  what: keyof typeof WORDS | undefined,
): Promise<void> {
  const sizes = await cluster.sizes()
  const { least, missing: lost, doubles } = await report
  const cells = sizes.map((size) => String(size ?? 'gone').padStart(8)).join('  ')
  const counts = `${String(published).padStart(9)}  ${String(least).padStart(15)}`
  const faults = `${String(lost.length).padStart(5)}  ${String(doubles).padStart(5)}`
  const note = what === undefined ? '' : `  <- ${WORDS[what]}`
  console.log(`${String(second).padStart(6)} | ${cells} | ${counts} | ${faults}${note}`)
}

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= min && value <= max) return value
  console.error(`--${name} must be an integer from ${min} to ${max}.`)
  process.exit(2)
}
