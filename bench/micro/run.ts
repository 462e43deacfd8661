// `npm run bench:micro [-- --only encode]`: one core, one process, almost no network.
import { parseArgs } from 'node:util'
import Benchmark from 'benchmark'
import { commandLine, describeMachine, machine } from '../report/machine.js'
import { markdownTable } from '../report/table.js'
import { connectedSockets, microCases } from './cases.js'

const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } })

const { sockets, close } = await connectedSockets()
const suite = new Benchmark.Suite()
const operations = new Map<string, number>()
for (const each of microCases(sockets)) {
  if (!each.name.includes(values.only)) continue
  operations.set(each.name, each.operations)
  suite.add(each.name, () => each.run())
}
const rows: string[][] = []
suite.on('cycle', ({ target }: Benchmark.Event) => {
  const { name = '', stats } = target as unknown as Benchmark
  const each = (stats.mean / (operations.get(name) ?? 1)) * 1e6
  rows.push([name, each.toFixed(3), `${stats.rme.toFixed(1)} %`, String(stats.sample.length)])
})
suite.run()
close()

console.log(`${describeMachine(machine(commandLine('bench:micro')))}\n`)
console.log(markdownTable(['', 'us an operation', 'margin of error', 'samples'], rows))
