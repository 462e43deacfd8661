// The server of the claims: all of a rig's claims share its process. Which claim a client is of, its request's path says.
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import {
  createEventStream,
  type EventStream,
  type GuardCloseInfo,
  guardServer,
  inspectSocket,
} from '../../src/index.js'
import { answer } from '../../src/testing/index.js'
import { listenOn } from '../support/ports.js'
import type { Claim } from './claim.js'
import { block, problems } from './process.js'
import { noteEvidence, type Served } from './served.js'

/** How a claim's connections are served. */
export interface Serving {
  readonly claim: number
  readonly by: Claim['by']
  readonly detectWithin: number
  readonly heartbeat: boolean
}

/** What the process says of itself: see `health`. */
export interface ServerHealth {
  readonly problems: readonly string[]
  readonly longestDelay: number
}

interface Connection {
  readonly served: Served
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly stream?: EventStream
}

/** More than this waits for no client: what `produce` sends has to find room. */
const ROOM = 65_536

const servings = new Map<number, Serving>()
const connections = new Map<number, Connection[]>()
const guardCloses = new Map<string, GuardCloseInfo>()
const producers = new Map<number, NodeJS.Timeout>()
const ports = new Map<string, Promise<number>>()
const ticks = new Map<number, number>()
const delays = monitorEventLoopDelay({ resolution: 20 })
delays.enable()

const of = (claim: number): Connection[] => connections.get(claim) ?? []
const open = (claim: number): Connection[] => of(claim).filter(({ served }) => !served.closedAt)

answer({
  /** @returns the port to which the claim's clients connect */
  serve(serving: Serving): Promise<number> {
    servings.set(serving.claim, serving)
    connections.set(serving.claim, [])
    const { by, detectWithin } = serving
    const key = by === 'stream' ? by : `${by} ${detectWithin}`
    const port = ports.get(key) ?? listen(by === 'guard' ? detectWithin : undefined)
    ports.set(key, port)
    return port
  },
  served: (claim: number): Served[] => of(claim).map(({ served }) => served),
  /** Bytes in the kernel that have not been sent, and that are not acknowledged. */
  queues: (claim: number) =>
    of(claim).map(({ request }) => {
      const { unsent, unacked, unackedSegments } = inspectSocket(request.socket)
      return { unsent, unacked, unackedSegments }
    }),
  send: (claim: number, bytes: number) => {
    for (const each of open(claim)) send(claim, each, 'x'.repeat(bytes))
  },
  produce(claim: number, { bytes, everyMs }: { bytes: number; everyMs: number }) {
    const data = 'x'.repeat(bytes)
    const timer = setInterval(() => {
      for (const each of open(claim)) if (waiting(each) < ROOM) send(claim, each, data)
    }, everyMs)
    producers.set(claim, timer)
  },
  stop: (claim: number) => clearInterval(producers.get(claim)),
  block,
  /** What went wrong beside the claims, and the longest time for which the loop stood still. */
  health: (): ServerHealth => ({ problems, longestDelay: delays.max / 1e6 }),
})

async function listen(guardedWithin: number | undefined): Promise<number> {
  const server = http.createServer(accept)
  if (guardedWithin !== undefined) {
    guardServer(server, {
      detectWithin: guardedWithin,
      stallTimeout: false,
      onClose: (info) => guardCloses.set(String(info.remoteAddress), info),
    })
  }
  return listenOn(server, '0.0.0.0')
}

function accept(request: IncomingMessage, response: ServerResponse): void {
  const claim = Number(request.url?.slice(1))
  const { by, detectWithin, heartbeat } = servings.get(claim) as Serving
  const address = String(request.socket.remoteAddress)
  const served: Served = { address, openedAt: Date.now() }
  if (by === 'stream') {
    const stream = createEventStream(request, response, {
      detectWithin,
      stallTimeout: false,
      maxBufferedBytes: 16_000_000,
      ...(heartbeat ? {} : { heartbeat: false }),
    })
    stream.closed.then(({ reason, error, delivered, evidence }) => {
      const { code } = (error ?? {}) as NodeJS.ErrnoException
      served.closedAt = Date.now()
      served.reason = code === undefined || code.startsWith('ERR_') ? reason : `${reason} ${code}`
      noteEvidence(served, evidence)
      if (delivered !== undefined) served.delivered = delivered.events
    })
    of(claim).push({ served, request, response, stream })
  } else {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    response.on('close', () => {
      const { code } = (request.socket.errored ?? {}) as NodeJS.ErrnoException
      served.closedAt = Date.now()
      const info = guardCloses.get(address)
      served.reason = info?.reason ?? code ?? 'closed'
      noteEvidence(served, info?.evidence)
    })
    of(claim).push({ served, request, response })
  }
}

function waiting({ stream, response }: Connection): number {
  return stream === undefined ? response.writableLength : stream.buffered().pending
}

function send(claim: number, { stream, response }: Connection, data: string): void {
  const id = (ticks.get(claim) ?? 0) + 1
  ticks.set(claim, id)
  if (stream === undefined) response.write(`id: ${id}\ndata: ${data}\n\n`)
  else stream.send({ id, data })
}
