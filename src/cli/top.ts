// `tcp-sse top`
import { guardPort, type PortGuard } from '../port-guard/guard-port.js'
import {
  asUsageError,
  count,
  duration,
  type Flags,
  PORT_FLAGS,
  parse,
  portOptions,
} from './arguments.js'
import { TOP_HELP } from './help.js'
import { type Io, pause } from './io.js'
import { byTrouble, table } from './table.js'

const FLAGS = {
  ...PORT_FLAGS,
  interval: { type: 'string' },
  count: { type: 'string' },
} as const satisfies Flags

const LEAST_INTERVAL = 100
/** The width of lines that go to a file or a pipe. */
const PLAIN_WIDTH = 200

/**
 * ECMA-48 sequences: move the cursor home; clear the rest of the line; clear the rest of the
 * screen. Then xterm's alternate screen and a hidden cursor, and the reverse.
 */
const HOME = '\x1b[H'
const CLEAR_LINE = '\x1b[K'
const CLEAR_BELOW = '\x1b[J'
const ENTER = '\x1b[?1049h\x1b[?25l'
const LEAVE = '\x1b[?25h\x1b[?1049l'

/** Shows tables until the signal aborts, or until `--count` is reached. */
export async function top(args: readonly string[], { stdout, signal }: Io): Promise<number> {
  const values = parse(args, FLAGS)
  if (values.help) {
    stdout.write(TOP_HELP)
    return 0
  }
  const json = values.json === true
  const live = stdout.isTTY === true && !json
  const interval = Math.max(LEAST_INTERVAL, duration(values.interval, '--interval') ?? 1_000)
  const tables = count(values.count, '--count') ?? (live ? Number.POSITIVE_INFINITY : 1)
  let guard: PortGuard
  try {
    guard = guardPort({ ...portOptions(values), dryRun: true })
  } catch (error) {
    throw asUsageError(error)
  }
  if (live) stdout.write(ENTER)
  try {
    for (let shown = 0; shown < tables && !signal.aborted; shown++) {
      // A slow or lossy connection shows only between two samples.
      await pause(interval, signal)
      const peers = guard.peers()
      if (json) stdout.write(`${JSON.stringify(byTrouble(peers))}\n`)
      else if (live) {
        const lines = table(peers, stdout.columns, stdout.rows - 1)
        stdout.write(
          `${HOME}${lines.map((line) => `${line}${CLEAR_LINE}\n`).join('')}${CLEAR_BELOW}`,
        )
      } else stdout.write(`${table(peers, PLAIN_WIDTH, Number.POSITIVE_INFINITY).join('\n')}\n`)
    }
    return 0
  } finally {
    guard.stop()
    if (live) stdout.write(LEAVE)
  }
}
