// `npm run bench:incident [-- --clients 2000] [--drivers tcp-sse,better-sse] [--within 10000] [--patience 60]`
//
// All clients of a server vanish at once while it sends to them. Measures how long the server holds
// their sockets, and what it does afterwards. Needs network namespaces (root, or a user namespace).
import { parseArgs } from 'node:util'
import { Rig } from '../../src/testing/index.js'
import { waitFor } from '../../test/support/wait-for.js'
import { commandLine, describeMachine, machine } from '../report/machine.js'
import { bytes, markdownTable } from '../report/table.js'
import type { Held } from './server.js'

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '2000' },
    drivers: {
      type: 'string',
      default: 'tcp-sse,better-sse,fastify-sse,express-sse,sse-channel,http-string',
    },
    /** `detectWithin` of tcp-sse, in milliseconds. */
    within: { type: 'string', default: '10000' },
    /** How long the other libraries are watched, in seconds. */
    patience: { type: 'string', default: '60' },
  },
})
const count = Number(values.clients)
const patience = Number(values.patience) * 1_000
const EVENT = 1_000
const EVERY = 250
/** Clients that are opened at a time. */
const GROUP = 250
/** How long CPU is measured once the outcome is known. */
const AFTER = 5_000

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

console.log(
  `${describeMachine(machine(commandLine('bench:incident')))} ${count} clients vanish; ` +
    `an event of ${EVENT} bytes to each every ${EVERY} ms; detectWithin of tcp-sse ${values.within} ms.\n`,
)
const rows: string[][] = []
for (const driver of values.drivers.split(',')) rows.push([driver, ...(await incident(driver))])
console.log(
  markdownTable(
    [
      '',
      'all closed after',
      'sockets left',
      'in user space',
      'in the kernel',
      'CPU before',
      'CPU after',
    ],
    rows,
  ),
)

/** The cells of one driver's row. */
async function incident(driver: string): Promise<string[]> {
  process.stderr.write(`${driver}\n`)
  const rig = new Rig()
  try {
    const module = (path: string): URL => new URL(path, import.meta.url)
    const server = rig.spawnServer(module('./server.ts'), { BENCH_DETECT_WITHIN: values.within })
    const { port, path } = await server.call<{ port: number; path: string }>('serve', {
      driver,
      bytes: EVENT,
      everyMs: EVERY,
    })
    const clients = rig.spawnClients(module('../../src/testing/clients.ts'))
    const addresses = Array.from({ length: count }, (_, index) => rig.clientAddress(index))
    for (let from = 0; from < count; from += GROUP) {
      const some = addresses.slice(from, from + GROUP)
      await clients.call('open', { addresses: some, host: rig.serverAddress, port, path })
    }
    await server.call<Held>('held')
    await waitFor(
      'all clients',
      async () => (await server.call<Held>('held')).open >= count,
      30_000,
    )
    await pause(3_000)
    const before = await server.call<Held>('held')
    const { doneAt } = rig.cut('all')
    let held = before
    while (held.open > 0 && Date.now() - doneAt < patience) {
      await pause(100)
      held = await server.call<Held>('held')
    }
    const took = held.open === 0 ? `${((Date.now() - doneAt) / 1_000).toFixed(1)} s` : 'never'
    await pause(AFTER)
    const after = await server.call<Held>('held')
    const percent = (cpu: number): string => `${cpu.toFixed(1)} %`
    return [
      took,
      String(after.open),
      bytes(after.user),
      bytes(after.kernel),
      percent(before.cpu),
      percent(after.cpu),
    ]
  } finally {
    rig.close()
  }
}
