// The soak test's server: one channel with a history, and streams of every kind.
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { createChannel, createEventStream, MemoryHistory } from 'tcp-sse'
import { answer } from 'tcp-sse/testing'

/** A stream that has ended. */
export interface Closed {
  /** The client's name for its connection. */
  readonly key: string
  readonly at: number
  readonly reason: string
  /** The last event that was reported as acknowledged. */
  readonly delivered: number | undefined
  /** The monitor's evidence, if it found the client dead. */
  readonly evidence: string | undefined
}

/** The memory of the process, and its errors. */
export interface Account {
  readonly heap: number
  readonly rss: number
  readonly external: number
  readonly subscribers: number
  readonly openConfirmations: number
  readonly reasons: Readonly<Record<string, number>>
  readonly replays: Readonly<Record<string, number>>
  readonly problems: readonly string[]
}

const EVERY = 40
const LONGEST = 1_500

const detectWithin = Number(process.env.DETECT_WITHIN)
const history = new MemoryHistory({ maxEvents: 20_000, maxBytes: 64_000_000 })
const channel = createChannel({ history })
const closed: Closed[] = []
const reasons: Record<string, number> = {}
const replays: Record<string, number> = {}
const problems: string[] = []
let openConfirmations = 0
let id = 0
let timer: NodeJS.Timeout | undefined
for (const event of ['uncaughtException', 'unhandledRejection', 'warning'] as const) {
  process.on(event, (error: unknown) => problems.push(`${event}: ${error}`))
}

const add = (counts: Record<string, number>, word: string): void => {
  counts[word] = (counts[word] ?? 0) + 1
}

const server = http.createServer((request, response) => {
  const { searchParams } = new URL(String(request.url), 'http://soak')
  const kind = Number(searchParams.get('kind'))
  const key = String(searchParams.get('key'))
  const stream = createEventStream(request, response, {
    detectWithin,
    maxBufferedBytes: 300_000,
    stallTimeout: 8_000,
    maxAge: kind % 5 === 0 ? 6_000 : false,
    ...(kind % 3 === 0 ? { heartbeat: false } : {}),
  })
  add(replays, channel.subscribe(stream).replay)
  stream.closed.then(({ reason, delivered, evidence, error }) => {
    add(reasons, reason)
    const last = delivered?.id === undefined ? undefined : Number(delivered.id)
    const seen = reason === 'peer-dead' ? JSON.stringify({ evidence, error }) : undefined
    closed.push({ key, at: Date.now(), reason, delivered: last, evidence: seen })
  })
  if (kind % 4 === 0) {
    openConfirmations++
    stream.sendConfirmed({ comment: 'confirmed' }).then(() => openConfirmations--)
  }
})

answer({
  async listen(): Promise<number> {
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve))
    timer = setInterval(() => {
      id++
      void channel.broadcast({ id: String(id), data: 'x'.repeat(20 + ((id * 7_919) % LONGEST)) })
    }, EVERY)
    return (server.address() as AddressInfo).port
  },
  stop: () => clearInterval(timer),
  /** The streams that have ended since the last call. */
  closed: () => closed.splice(0),
  account(): Account {
    ;(globalThis as { gc?: () => void }).gc?.()
    const { heapUsed, rss, external } = process.memoryUsage()
    return {
      ...{ heap: heapUsed, rss, external, subscribers: channel.size },
      ...{ openConfirmations, reasons, replays, problems },
    }
  },
})
