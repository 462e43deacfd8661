// A server of our own in a child process, as the dead-peer tests want it.
import { readFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { Server } from 'node:net'
import { answerWithStream } from '../../src/adapters/node.js'
import type { CloseInfo, EventInput, EventStream, EventStreamOptions } from '../../src/index.js'
import { applySocketOptions, createEventStream } from '../../src/index.js'
import { sharedMonitor } from '../../src/liveness/monitor.js'
import { monitorPlan, type PlanOverrides } from '../../src/liveness/plan.js'
import { streamSettings } from '../../src/stream/options.js'
import { answer } from '../../src/testing/index.js'
import { measureBlocked } from './blocked.js'
import { listenOn } from './ports.js'

/** One stream that was opened, by the order of its client's address. */
export interface Opened {
  address: string
  closedAt?: number
  info?: Pick<CloseInfo, 'reason' | 'openedFor' | 'bytesSent'> & {
    code?: string | undefined
    message?: string | undefined
  }
  verdicts: string[]
}

const streams: { stream: EventStream | undefined; record: Opened }[] = []
let server: Server | undefined
let tick = 0
let timer: NodeJS.Timeout | undefined
let cpu = process.cpuUsage()
let problems = 0
const blocked = measureBlocked()
process.on('unhandledRejection', () => problems++)
process.on('uncaughtException', (error) => {
  problems++
  console.error(error)
})
process.on('warning', () => problems++)

answer({
  async listen({ options = {}, protocol = 'http', overrides, userTimeoutOnly }: ListenOptions) {
    const onRequest = (req: http.IncomingMessage, res: http.ServerResponse): void => {
      const record: Opened = { address: String(req.socket.remoteAddress), verdicts: [] }
      if (userTimeoutOnly !== undefined) {
        serveBare(req, res, record, userTimeoutOnly)
        return
      }
      const { detectWithin, heartbeat } = options
      const stream =
        overrides === undefined
          ? createEventStream(req, res, options)
          : answerWithStream(req, res, {
              ...streamSettings(options),
              plan: monitorPlan(detectWithin, { heartbeat, ...overrides }),
            })
      streams.push({ stream, record })
      stream.closed.then(({ reason, error, openedFor, bytesSent }) => {
        record.closedAt = Date.now()
        const code = (error as NodeJS.ErrnoException | undefined)?.code
        record.info = { reason, openedFor, bytesSent, code, message: error?.message }
      })
    }
    const pem = (name: string): Buffer =>
      readFileSync(new URL(`./tls/${name}.pem`, import.meta.url))
    const secrets = protocol === 'http' ? {} : { key: pem('key'), cert: pem('cert') }
    server =
      protocol === 'http'
        ? http.createServer(onRequest)
        : protocol === 'https'
          ? https.createServer(secrets, onRequest)
          : (http2.createSecureServer(secrets, onRequest as never) as unknown as Server)
    return listenOn(server, '0.0.0.0')
  },
  streams: (): Opened[] =>
    streams.map(({ stream, record }) => ({
      ...record,
      verdicts: stream === undefined ? [] : [stream.verdict],
    })),
  /** Sends one event of so many bytes to every open stream; returns its number. */
  send(bytes = 20) {
    tick += 1
    for (const { stream } of streams) stream?.send({ id: tick, data: 'x'.repeat(bytes) })
    return tick
  },
  /** Sends to every stream that has room, again and again. */
  produce({ bytes, everyMs }: { bytes: number; everyMs: number }) {
    clearInterval(timer)
    const data = 'x'.repeat(bytes)
    timer = setInterval(() => {
      for (const { stream } of streams) {
        if (stream !== undefined && stream.buffered().pending < 65_536) {
          tick += 1
          stream.send({ id: tick, data })
        }
      }
    }, everyMs)
  },
  /** An endless generator for every stream: what the incident was. */
  pump() {
    for (const { stream } of streams) {
      const source = endless()
      void stream?.sendAll(source.events).then(({ reason }) => {
        pumps[reason] = (pumps[reason] ?? 0) + 1
        if (source.returned()) pumps.returned = (pumps.returned ?? 0) + 1
      })
    }
  },
  pumped: () => pumps,
  stopProducing() {
    clearInterval(timer)
    return tick
  },
  queues: () => streams.map(({ stream }) => stream?.buffered()),
  snapshots: () => streams.map(({ stream }) => stream?.inspect()),
  /** Milliseconds for which this process has not run since a time of `Date.now()`. */
  blockedSince: (moment: number) => blocked.since(moment),
  /** What is left when everybody has gone. */
  rest() {
    const handles = process.getActiveResourcesInfo()
    return { watched: sharedMonitor.size, handles, problems }
  },
  startCpu() {
    blocked.stop()
    cpu = process.cpuUsage()
  },
  /** Milliseconds of CPU time since `startCpu`. */
  usedCpu() {
    const { user, system } = process.cpuUsage(cpu)
    return (user + system) / 1000
  },
})

const pumps: Record<string, number> = {}

function endless(): { events: Generator<EventInput>; returned: () => boolean } {
  let returned = false
  function* events(): Generator<EventInput> {
    try {
      for (let id = 0; ; id++) yield { id, data: 'x'.repeat(200) }
    } finally {
      returned = true
    }
  }
  return { events: events(), returned: () => returned }
}

interface ListenOptions {
  options?: EventStreamOptions
  protocol?: 'http' | 'https' | 'http2'
  /** Entries of the plan that no option sets. */
  overrides?: PlanOverrides
  /** No stream of ours: a plain response with TCP_USER_TIMEOUT alone, to show what that does. */
  userTimeoutOnly?: number
}

function serveBare(
  req: http.IncomingMessage,
  res: http.ServerResponse,
  record: Opened,
  userTimeout: number,
): void {
  const { socket } = req
  applySocketOptions(socket, { userTimeout })
  res.writeHead(200, { 'content-type': 'text/event-stream' })
  const fill = setInterval(() => {
    if (!res.writableNeedDrain) res.write(`data: ${'x'.repeat(4_000)}\n\n`)
  }, 5)
  streams.push({ stream: undefined, record })
  res.on('close', () => {
    clearInterval(fill)
    record.closedAt = Date.now()
    const code = (socket.errored as NodeJS.ErrnoException | null)?.code
    record.info = { reason: 'error', openedFor: 0, bytesSent: 0, code }
  })
}
