// A server of ours with echoes behind proxies, in a child process of the rig.
import http from 'node:http'
import {
  createChannel,
  createEventStream,
  type EventStream,
  type EventStreamOptions,
  echo,
  MemoryHistory,
} from '../../src/index.js'
import { answer } from '../../src/testing/index.js'
import { listenOn } from './ports.js'
import { type ProxyName, type RunningProxy, startProxy } from './proxies.js'

/** One stream that was opened. */
export interface Served {
  /** Which client it is for, by its own word. */
  name: string
  lastEventId: string
  openedAt: number
  closedAt?: number
  reason?: string
  /** Whether its client has answered. */
  armed?: boolean
}

const served: { stream: EventStream; record: Served }[] = []
const channel = createChannel({ history: new MemoryHistory() })
const proxies: RunningProxy[] = []
let id = 0
let echoes = 0

answer({
  async listen({ options, names }: { options: EventStreamOptions; names: ProxyName[] }) {
    const answersEcho = echo()
    const server = http.createServer((req, res) => {
      if (answersEcho(req, res)) {
        echoes += 1
        return
      }
      const stream = createEventStream(req, res, options)
      const record: Served = {
        name: String(req.url).slice(1),
        lastEventId: stream.lastEventId,
        openedAt: Date.now(),
      }
      served.push({ stream, record })
      void stream.closed.then(({ reason }) => {
        record.closedAt = Date.now()
        record.reason = reason
      })
      channel.subscribe(stream)
    })
    const port = await listenOn(server)
    for (const name of names) proxies.push(await startProxy(name, port))
    return proxies.map(({ plain, tls }) => ({ plain, tls }))
  },
  /** Sends an event now and then to everybody. */
  produce({ everyMs, bytes = 10 }: { everyMs: number; bytes?: number }) {
    const data = 'x'.repeat(bytes)
    setInterval(() => void channel.broadcast({ id: String(++id), data }), everyMs)
  },
  last: () => id,
  served: (): Served[] =>
    served.map(({ stream, record }) => ({ ...record, armed: stream.lastEcho !== undefined })),
  echoes: () => echoes,
  pid: () => process.pid,
})
