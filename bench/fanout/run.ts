// `npm run bench [-- --only "fan-out 2 000,unicast"] [--drivers tcp-sse,floor] [--rounds 5] [--json FILE]`
//
// Paired rounds: each round runs all drivers once, so that changes on the machine affect all of
// them. Reports medians.
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { commandLine, describeMachine, machine } from '../report/machine.js'
import { markdownTable } from '../report/table.js'
import { measure, type Sample } from './measure.js'
import { nchanInstalled } from './nchan.js'
import { type Trial, trials } from './trials.js'

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    drivers: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'string' },
  },
})
const rounds = Number(values.rounds)
const wanted = values.only?.split(',')
const chosen = trials.filter(({ name }) => wanted?.some((each) => name.startsWith(each)) ?? true)

const about = machine(commandLine('bench'))
console.log(
  `${describeMachine(about)} Medians of ${rounds} paired rounds, in brackets lowest and highest.\n`,
)
const results: { trial: Trial; samples: Record<string, Sample[]> }[] = []
for (const trial of chosen) {
  const names = trial.drivers.filter(
    (name) =>
      (values.drivers?.split(',').includes(name) ?? true) && (name !== 'nchan' || nchanInstalled()),
  )
  const samples: Record<string, Sample[]> = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      process.stderr.write(`${trial.name}, ${name}, round ${round + 1}\n`)
      samples[name]?.push(await measure(trial, name))
    }
  }
  results.push({ trial, samples })
  console.log(`**${trial.name}**\n\n${table(samples)}\n`)
}
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify({ about, rounds, results }, null, 2)}\n`)
}

function table(samples: Record<string, Sample[]>): string {
  const columns = [...new Set(Object.values(samples).flatMap((all) => Object.keys(all[0] ?? {})))]
  const rows = Object.entries(samples).map(([name, all]) => [
    name,
    ...columns.map((column) => cell(all.map((sample) => sample[column]))),
  ])
  return markdownTable(['', ...columns], rows)
}

function cell(numbers: (number | undefined)[]): string {
  const sorted = numbers.filter((each) => each !== undefined).sort((a, b) => a - b)
  if (sorted.length === 0) return '-'
  const show = (value = 0): string => (value >= 100 ? value.toFixed(0) : value.toFixed(2))
  const median = sorted[Math.floor((sorted.length - 1) / 2)]
  return `${show(median)} (${show(sorted[0])} - ${show(sorted.at(-1))})`
}
