// `npm run bench:stalled [-- --only tcp-sse,hono] [--events 2000] [--bytes 16384] [--json FILE]`
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { driverNames } from '../drivers/index.js'
import { commandLine, describeMachine, machine } from '../report/machine.js'
import { bytes, markdownTable, time } from '../report/table.js'
import { formsOf, runStalled, SETTLES_WITHIN, type StalledResult } from './trial.js'

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    events: { type: 'string', default: '2000' },
    bytes: { type: 'string', default: '16384' },
    json: { type: 'string' },
  },
})
const events = Number(values.events)
const eventBytes = Number(values.bytes)
const names = values.only?.split(',') ?? driverNames.filter((name) => name !== 'http-buffer')

const results: StalledResult[] = []
for (const driver of names) {
  for (const form of await formsOf(driver)) {
    process.stderr.write(`${driver}, ${form} ...\n`)
    results.push(await runStalled({ driver, form, events, eventBytes }))
  }
}
const about = machine(commandLine('bench:stalled'))
console.log(
  `A client that reads the head and then never reads; ${events} events of ${bytes(eventBytes)}.`,
)
console.log(`${describeMachine(about)}\n`)
console.log(markdownTable(head(), results.map(row)))
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify({ about, results }, null, 2)}\n`)
}

function head(): string[] {
  return [
    'library, form',
    'user space, at most',
    'heap and buffers, growth',
    'kernel: our side + theirs',
    'first sign to the sender',
    'taken before it was for good',
    'then',
    `client destroyed: the sender, within ${SETTLES_WITHIN / 1_000} s`,
    'close hook',
    'a later send',
  ]
}

function row(result: StalledResult): string[] {
  const { driver, form, stalled, gone } = result
  return [
    `${driver}, ${form}`,
    bytes(stalled.heldAtMost),
    bytes(result.growth),
    `${bytes(stalled.kernelAtMost)} + ${bytes(result.inReceiveBuffer)}`,
    signOf(result),
    takenBy(result),
    stalled.ending === undefined
      ? 'waits'
      : `${stalled.ending.how} (${time(stalled.ending.after)})`,
    settlingOf(result),
    hookOf(result),
    gone.ending === undefined ? 'the last one is pending' : result.laterSend,
  ]
}

function signOf({ stalled: { signal, ending, closed } }: StalledResult): string {
  if (signal !== undefined) {
    return `${signal.what}, ${time(signal.after)}`
  }
  if (closed !== undefined) return `closed after ${time(closed.after)}`
  return ending === undefined ? 'none, and it waits' : 'none'
}

function takenBy({ stalled: { signal, taken, events } }: StalledResult): string {
  const told = signal !== undefined && taken !== undefined
  return told ? `${taken.events} events, ${bytes(taken.bytes)}` : `${events} events: never`
}

function settlingOf({ stalled, gone }: StalledResult): string {
  if (stalled.ending !== undefined) return 'had ended'
  if (gone.ending === undefined) return '**never settles**'
  const returned = gone.sourceReturned === undefined ? '' : `, source returned`
  const spun = gone.acceptedAfterGone
  const after = spun > 0 ? `; **${spun} more events "succeed"**` : ''
  return `${gone.ending.how}${gone.sourceReturned === false ? ', **source not returned**' : returned}${after}`
}

function hookOf({ stalled, gone, hasHook }: StalledResult): string {
  if (!hasHook) return 'has none'
  const reason = (gone.closed?.reason ?? '') && `'${gone.closed?.reason}'`
  if (stalled.closed !== undefined)
    return `fired by itself ${reason}, ${time(stalled.closed.after)}`
  return gone.closed === undefined ? '**not fired**' : `fires ${reason}`.trimEnd()
}
