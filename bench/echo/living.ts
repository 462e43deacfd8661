// `tsx bench/echo/living.ts [minutes]`: 200 living clients behind nginx with default settings. Some
// have outages of 12 s, event loops that are blocked for 15 s, or read slowly. Every closed stream
// is a mistake. Run it as root, or where namespaces are permitted.
import { type ChildProcessHandle, createRig } from '../../src/testing/index.js'
import type { Seen } from '../../test/support/proxied-clients.js'
import type { Served } from '../../test/support/proxied-server.js'
import { describeMachine, machine } from '../report/machine.js'

const MINUTES = Number(process.argv[2] ?? 5)
const GROUPS = [
  { name: 'outages of 12 s every 45 s', count: 80, library: 'eventsource' },
  { name: 'loops blocked for 15 s every 30 s', count: 60, library: 'eventsource' },
  { name: 'slow readers', count: 60, library: 'a slow reader' },
]
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const at = (path: string): URL => new URL(`../../test/support/${path}.ts`, import.meta.url)

const rig = createRig()
const server = rig.spawnServer(at('proxied-server'))
const echo = { beat: 5_000, silence: 20_000 }
const options = { echo, maxBufferedBytes: 16 << 20, stallTimeout: false }
const [ports] = await server.call<{ plain: number }[]>('listen', { options, names: ['nginx'] })
let next = 0
const groups: { peer: ChildProcessHandle; addresses: number[] }[] = []
for (const { name, count, library } of GROUPS) {
  const peer = rig.spawnClients(at('proxied-clients'))
  const addresses = Array.from({ length: count }, () => next++)
  const urls = addresses.map((number) => ({
    name: `${number}`,
    url: `http://${rig.serverAddress}:${ports?.plain}/${encodeURIComponent(name)}`,
    library,
    http2: false,
    headTimeout: 20_000,
    address: rig.clientAddress(number),
  }))
  await peer.call('open', { urls })
  groups.push({ peer, addresses })
}
await server.call('produce', { everyMs: 1_000, bytes: 8_000 })
await pause(8_000)

const until = Date.now() + MINUTES * 60_000
const repeat = async (every: number, action: () => Promise<void>): Promise<void> => {
  while (Date.now() < until - every) {
    const began = Date.now()
    await action()
    await pause(Math.max(0, began + every - Date.now()))
  }
}
const [cut, blocked] = groups as [(typeof groups)[0], (typeof groups)[0]]
await Promise.all([
  repeat(45_000, async () => {
    rig.cut(cut.addresses)
    await pause(12_000)
    rig.heal(cut.addresses)
  }),
  repeat(30_000, () => blocked.peer.call('block', 15_000)),
])
await pause(Math.max(0, until - Date.now()))

const served = await server.call<Served[]>('served')
console.log(describeMachine(machine('npx tsx bench/echo/living.ts')))
for (const [index, { name, count }] of GROUPS.entries()) {
  const mine = served.filter((each) => decodeURIComponent(each.name) === name)
  const reasons = mine.flatMap(({ reason }) => reason ?? [])
  const seen = await groups[index]?.peer.call<Seen[]>('seen')
  const failures = seen?.flatMap((each) => each.failures) ?? []
  console.log(
    `${name}: ${count} clients, ${count * MINUTES} client-minutes, ${reasons.length} ended by the server ${JSON.stringify(reasons.slice(0, 5))}, ` +
      `${failures.length} by the client ${JSON.stringify(failures.slice(0, 3))}`,
  )
}
console.log(`${await server.call<number>('echoes')} echoes`)
rig.close()
process.exit(0)
