// `tcp-sse doctor`
import { asUsageError, duration, type Flags, PORT_FLAGS, parse, portOptions } from './arguments.js'
import { type Finding, findings } from './checks.js'
import { DOCTOR_HELP } from './help.js'
import type { Io } from './io.js'

const { port, 'detect-within': detectWithin, json, help } = PORT_FLAGS
const FLAGS = { port, 'detect-within': detectWithin, json, help } as const satisfies Flags

/** @returns 0 if nothing is missing, otherwise 1 */
export async function doctor(args: readonly string[], { stdout }: Io): Promise<number> {
  const values = parse(args, FLAGS)
  if (values.help) {
    stdout.write(DOCTOR_HELP)
    return 0
  }
  const ports = values.port === undefined ? [] : [portOptions(values).port].flat()
  let found: Finding[]
  try {
    found = findings(duration(values['detect-within'], '--detect-within'), ports)
  } catch (error) {
    throw asUsageError(error)
  }
  stdout.write(values.json ? `${JSON.stringify(found)}\n` : textOf(found))
  return found.some(({ status }) => status === 'missing') ? 1 : 0
}

const MARKS = { ok: '  ', weaker: '! ', missing: 'X ' }

function textOf(found: readonly Finding[]): string {
  const width = Math.max(...found.map(({ about }) => about.length))
  return found
    .map(({ about, value, status, note }) => {
      const line = `${MARKS[status]}${about.padEnd(width)}  ${value}`
      return `${note === '' ? line : `${line}  (${note})`}\n`
    })
    .join('')
}
