// `npm run bench:lowat [-- --rounds 7] [--seconds 2]`: what TCP_NOTSENT_LOWAT costs with a fast
// reader, and what it saves with one that does not read. It uses its own network namespaces.
import { parseArgs } from 'node:util'
import { Rig } from '../../src/testing/index.js'
import { commandLine, describeMachine, machine } from '../report/machine.js'
import { bytes, markdownTable } from '../report/table.js'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '2' },
  },
})
const VALUES = ['false', '16384', '32768', '65536', '131072', '262144', '1048576']

const rig = new Rig()
const server = rig.spawnServer(new URL('./server.ts', import.meta.url))
const client = rig.spawnClients(new URL('./client.ts', import.meta.url))
const host = rig.serverAddress
const port = await server.call<number>('listen', '0.0.0.0')

const rates = new Map<string, number[]>(VALUES.map((lowat) => [lowat, []]))
for (let round = 0; round < Number(values.rounds); round++) {
  for (const lowat of VALUES) {
    await client.call('open', { host, port, lowat, read: true })
    // The window has to open first.
    await server.call('throughput', 500)
    rates.get(lowat)?.push(await server.call<number>('throughput', Number(values.seconds) * 1_000))
    await server.call('end')
  }
}
const taken = new Map<string, number>()
for (const lowat of VALUES) {
  await client.call('open', { host, port, lowat, read: false })
  taken.set(lowat, await server.call<number>('taken'))
  await server.call('end')
}
rig.close()

console.log(`${describeMachine(machine(commandLine('bench:lowat')))}\n`)
const none = rates.get('false') ?? []
const rows = VALUES.map((lowat) => {
  const own = rates.get(lowat) ?? []
  const ratios = own.map((rate, round) => rate / (none[round] ?? rate)).sort((a, b) => a - b)
  const middle = ratios[Math.floor((ratios.length - 1) / 2)] ?? 1
  const spread = `${ratios[0]?.toFixed(3)} - ${ratios.at(-1)?.toFixed(3)}`
  const median = [...own].sort((a, b) => a - b)[Math.floor((own.length - 1) / 2)]
  return [lowat, `${bytes(median)}/s`, `${middle.toFixed(3)} (${spread})`, bytes(taken.get(lowat))]
})
console.log(
  markdownTable(['notSentLowWater', 'throughput', 'ratio to false, paired', 'accepted'], rows),
)
process.exit(0)
