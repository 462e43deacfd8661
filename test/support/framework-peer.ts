// All servers of the compatibility table in a child process, for the rig.

import type { ServerResponse } from 'node:http'
import http from 'node:http'
import {
  type CloseReason,
  createEventStream,
  type EventStream,
  guardServer,
} from '../../src/index.js'
import { sharedMonitor } from '../../src/liveness/monitor.js'
import { answer } from '../../src/testing/index.js'
import { frameworks, listen, PROTOCOLS, type Protocol, serverOf } from './framework-servers.js'

/** A server of the table. */
export interface Served {
  readonly name: string
  readonly protocol: Protocol
  readonly port: number
}

/** One stream of such a server. */
export interface ServedStream {
  readonly name: string
  readonly protocol: Protocol | 'unix'
  closedAt?: number
  reason?: CloseReason
  code?: string | undefined
}

const streams: ServedStream[] = []
/** What sends to each of them. */
const live: { send(event: { data: string }): unknown }[] = []
const problems: string[] = []
for (const event of ['unhandledRejection', 'uncaughtException', 'warning'] as const) {
  process.on(event, (error: unknown) => problems.push(`${event}: ${error}`))
}

answer({
  async serve(detectWithin: number): Promise<Served[]> {
    const served: Served[] = []
    for (const { name, protocols, serve } of frameworks) {
      for (const protocol of protocols) {
        const { port } = await serve(protocol, { detectWithin, heartbeat: false }, (stream) =>
          greet(stream, { name, protocol }),
        )
        served.push({ name, protocol, port })
      }
    }
    return served
  },
  /** Responses that the application writes itself, on servers with a guard. */
  async serveGuarded(detectWithin: number): Promise<Served[]> {
    const served: Served[] = []
    for (const protocol of PROTOCOLS) {
      const open = new Map<string, ServedStream>()
      const server = serverOf(protocol, (req, res) => {
        const record: ServedStream = { name: 'guard', protocol }
        open.set(`${req.socket.remoteAddress}:${req.socket.remotePort}`, record)
        streams.push(record)
        live.push({ send: (event) => write(res, event) })
        res.setHeader('Content-Type', 'text/event-stream')
        write(res, { data: 'hello' })
      })
      guardServer(server, {
        detectWithin,
        onClose({ reason, remoteAddress, remotePort }) {
          const record = open.get(`${remoteAddress}:${remotePort}`)
          if (record !== undefined) Object.assign(record, { reason, closedAt: Date.now() })
        },
      })
      const { port } = await listen(server)
      served.push({ name: 'guard', protocol, port })
    }
    return served
  },
  /** A server on a Unix socket. */
  async serveUnix(path: string, detectWithin: number, stallTimeout: number): Promise<void> {
    const server = http.createServer((req, res) => {
      greet(createEventStream(req, res, { detectWithin, stallTimeout, heartbeat: false }), {
        name: 'node',
        protocol: 'unix',
      })
    })
    await new Promise<void>((resolve) => server.listen(path, resolve))
  },
  streams: () => streams,
  /** Sends to some streams, by their order, four times a second. */
  produce(indexes: readonly number[]): void {
    const data = 'x'.repeat(200)
    setInterval(() => {
      for (const index of indexes) live[index]?.send({ data })
    }, 250)
  },
  block(milliseconds: number): void {
    const end = performance.now() + milliseconds
    while (performance.now() < end);
  },
  rest: () => ({ problems, watched: sharedMonitor.size }),
})

function write(res: ServerResponse, { data }: { data: string }): void {
  res.write(`data: ${data}\n\n`)
}

function greet(stream: EventStream, record: ServedStream): void {
  streams.push(record)
  live.push(stream)
  stream.send({ data: 'hello' })
  stream.closed.then(({ reason, error }) => {
    const { code } = (error ?? {}) as NodeJS.ErrnoException
    Object.assign(record, { reason, code, closedAt: Date.now() })
  })
}
