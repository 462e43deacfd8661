// The sending side of the notSentLowWater trial.
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { createEventStream, type EventStream, encodeEvent } from '../../src/index.js'
import { answer } from '../../src/testing/index.js'

const event = encodeEvent({ data: 'x'.repeat(1_000) })
const waiting: ((stream: EventStream) => void)[] = []
let stream: EventStream | undefined

function* endless(): Generator<typeof event> {
  for (;;) yield event
}

answer({
  async listen(host: string) {
    const server = http.createServer((req, res) => {
      const value = new URL(req.url ?? '/', 'http://x').searchParams.get('lowat')
      const notSentLowWater = value === 'false' ? false : Number(value)
      stream = createEventStream(req, res, { notSentLowWater, maxBufferedBytes: 1e9 })
      waiting.shift()?.(stream)
    })
    await new Promise<void>((resolve) => server.listen(0, host, resolve))
    return (server.address() as AddressInfo).port
  },
  /**
   * Sends for this long. Returns the bytes per second that the client's kernel has acknowledged.
   */
  async throughput(ms: number) {
    const one = stream as EventStream
    const signal = AbortSignal.timeout(ms)
    const startedAt = performance.now()
    const before = one.delivered()?.bytes ?? 0
    await one.sendAll(endless(), { signal })
    const after = one.delivered()?.bytes ?? 0
    return ((after - before) * 1_000) / (performance.now() - startedAt)
  },
  /** Sends to a client that does not read, until back-pressure lasts. */
  async taken() {
    const one = stream as EventStream
    let bytes = 0
    for (;;) {
      for (let result = 'sent'; result === 'sent'; bytes += event.bytes.length)
        result = one.send(event)
      const room = one.writable().then(() => true)
      const still = new Promise<boolean>((resolve) => setTimeout(resolve, 300, false))
      if (!(await Promise.race([room, still]))) return bytes
    }
  },
  end: () => stream?.abort(),
})
