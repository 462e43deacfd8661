// All servers of the compatibility table in a child process, for the rig.
import type { CloseReason } from '../../src/index.js'
import { sharedMonitor } from '../../src/liveness/monitor.js'
import { answer } from '../../src/testing/index.js'
import { frameworks, type Protocol } from './framework-servers.js'

/** A server of the table. */
export interface Served {
  readonly name: string
  readonly protocol: Protocol
  readonly port: number
}

/** One stream of such a server. */
export interface ServedStream {
  readonly name: string
  readonly protocol: Protocol
  closedAt?: number
  reason?: CloseReason
  code?: string | undefined
}

const streams: ServedStream[] = []
const problems: string[] = []
for (const event of ['unhandledRejection', 'uncaughtException', 'warning'] as const) {
  process.on(event, (error: unknown) => problems.push(`${event}: ${error}`))
}

answer({
  async serve(detectWithin: number): Promise<Served[]> {
    const served: Served[] = []
    for (const { name, protocols, serve } of frameworks) {
      for (const protocol of protocols) {
        const { port } = await serve(protocol, { detectWithin, heartbeat: false }, (stream) => {
          const record: ServedStream = { name, protocol }
          streams.push(record)
          stream.send({ data: 'hello' })
          stream.closed.then(({ reason, error }) => {
            const { code } = (error ?? {}) as NodeJS.ErrnoException
            Object.assign(record, { reason, code, closedAt: Date.now() })
          })
        })
        served.push({ name, protocol, port })
      }
    }
    return served
  },
  streams: () => streams,
  rest: () => ({ problems, watched: sharedMonitor.size }),
})
