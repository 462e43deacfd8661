// `tcp-sse guard`
import { once } from 'node:events'
import http, { type Server } from 'node:http'
import { guardPort, type PortGuard } from '../port-guard/guard-port.js'
import type { PortCloseInfo } from '../port-guard/options.js'
import {
  asUsageError,
  duration,
  type Flags,
  PORT_FLAGS,
  parse,
  portOf,
  portOptions,
} from './arguments.js'
import { GUARD_HELP } from './help.js'
import { type Io, pause } from './io.js'
import { METRICS_TYPE, metricsText } from './metrics-text.js'

const FLAGS = {
  ...PORT_FLAGS,
  'stall-timeout': { type: 'string' },
  arm: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  'metrics-port': { type: 'string' },
  'metrics-host': { type: 'string' },
} as const satisfies Flags

/**
 * How often the guard is asked for problems of arming, in milliseconds. Each time it passes over
 * all connections.
 */
const NEWS_PACE = 10_000

/** Runs until the signal aborts. @throws {Error} if the guard or its metrics cannot start */
export async function guard(
  args: readonly string[],
  { stdout, stderr, signal }: Io,
): Promise<number> {
  const values = parse(args, FLAGS)
  if (values.help) {
    stdout.write(GUARD_HELP)
    return 0
  }
  const stallTimeout = duration(values['stall-timeout'], '--stall-timeout')
  const metricsPort = values['metrics-port']
  const options = {
    ...portOptions(values),
    ...(stallTimeout === undefined ? {} : { stallTimeout }),
    arm: values.arm === true,
    dryRun: values['dry-run'] === true,
  }
  const json = values.json === true
  const say = (event: string, details: object, text: string): void => {
    const time = new Date().toISOString()
    stdout.write(json ? `${JSON.stringify({ time, event, ...details })}\n` : `${time} ${text}\n`)
  }
  let guard: PortGuard
  try {
    guard = guardPort({
      ...options,
      onClose: (info) => say('close', closeDetails(info), closeText(info)),
    })
  } catch (error) {
    throw asUsageError(error)
  }
  let metrics: Server | undefined
  try {
    if (metricsPort !== undefined) {
      metrics = await serveMetrics(
        guard,
        portOf(String(metricsPort), '--metrics-port'),
        values['metrics-host'],
      )
    }
    const ports = [options.port].flat()
    say('start', { ...options, port: ports }, startText(guard, ports, options.dryRun))
    await relayProblems(guard, signal, (problem) => {
      if (json) say('problem', { message: problem }, '')
      else stderr.write(`tcp-sse: ${problem}\n`)
    })
    const { closed, spared, failed } = guard.stats()
    say(
      'stop',
      { closed, spared, failed },
      `stopped: ${closed['peer-dead']} dead, ${closed.stalled} stalled`,
    )
    return 0
  } finally {
    guard.stop()
    metrics?.close()
    metrics?.closeAllConnections()
  }
}

/** Reports each new problem once, until the signal aborts. */
async function relayProblems(
  guard: PortGuard,
  signal: AbortSignal,
  tell: (problem: string) => void,
): Promise<void> {
  let told: string | undefined
  while (!signal.aborted) {
    const { armingProblem } = guard.stats()
    if (armingProblem !== undefined && armingProblem !== told) tell(armingProblem)
    told = armingProblem
    await pause(NEWS_PACE, signal)
  }
}

function startText(guard: PortGuard, ports: readonly number[], dryRun: boolean): string {
  const { verdicts, listening } = guard.stats()
  const connections = Object.values(verdicts).reduce((sum, count) => sum + count, 0)
  const what = dryRun ? 'dry run, watching' : 'guarding'
  return `${what} port ${ports.join(', ')}: ${counted(connections, 'connection')}, ${counted(listening, 'listening socket')}`
}

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

function closeDetails({ evidence, ...info }: PortCloseInfo): object {
  const { silentFor, asked, needed } = evidence
  return { ...info, silentFor: Math.round(silentFor), asked, needed }
}

const WORDS = { ended: 'ended', 'dry-run': 'would end', failed: 'could not end' }

function closeText(info: PortCloseInfo): string {
  const { outcome, remoteAddress, remotePort, localPort, reason, stalledFor, evidence, errno } =
    info
  const remote = remoteAddress.includes(':') ? `[${remoteAddress}]` : remoteAddress
  const [word, time] =
    stalledFor === undefined ? ['silent', evidence.silentFor] : ['took nothing', stalledFor]
  const why = errno === undefined ? '' : ` (error ${errno})`
  return `${WORDS[outcome]} ${remote}:${remotePort} on port ${localPort}: ${reason}, ${word} for ${(time / 1000).toFixed(1)} s${why}`
}

async function serveMetrics(guard: PortGuard, port: number, host: unknown): Promise<Server> {
  const server = http.createServer((req, res) => {
    if (req.url !== '/metrics') res.writeHead(404).end()
    else res.writeHead(200, { 'content-type': METRICS_TYPE }).end(metricsText(guard.stats()))
  })
  server.listen(port, typeof host === 'string' ? host : '127.0.0.1')
  // A port that is in use must be reported before the guard announces its start.
  await once(server, 'listening')
  return server
}
