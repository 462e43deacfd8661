// npm run bench:machines -- --engine cluster --servers 3 --clients 150 --rate 200 --seconds 30 --kill-every 10
import { parseArgs } from 'node:util'
import { commandLine, describeMachine, machine } from '../report/machine.js'
import { clusterFleet } from './cluster-fleet.js'
import type { Fleet } from './fleet.js'
import { trial } from './trial.js'

const { values } = parseArgs({
  options: {
    engine: { type: 'string', default: 'cluster' },
    servers: { type: 'string', default: '3' },
    clients: { type: 'string', default: '150' },
    rate: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '30' },
    'kill-every': { type: 'string', default: '10' },
  },
})

/** One row per engine. */
const engines: Record<string, (servers: number) => Promise<Fleet>> = { cluster: clusterFleet }

const open = engines[values.engine]
if (open === undefined) throw new Error(`There is no engine ${values.engine}.`)
const fleet = await open(Number(values.servers))
const options = {
  clients: Number(values.clients),
  rate: Number(values.rate),
  seconds: Number(values.seconds),
  killEvery: Number(values['kill-every']),
}
const { tally, ...result } = await trial(fleet, options)
await fleet.stop()
const delays = tally.delays.sort((a, b) => a - b)
const at = (share: number): number | undefined => delays[Math.floor(delays.length * share)]
const { delays: _, ...counts } = tally
console.log(describeMachine(machine(commandLine('bench:machines'))))
console.log({ ...options, engine: values.engine, servers: values.servers })
console.log({ ...result, ...counts, p50: at(0.5), p99: at(0.99) })
process.exit(result.behind + tally.lost + tally.double > 0 ? 1 : 0)
