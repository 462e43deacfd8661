// One driver in a separate process. It sends, and measures itself.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { answer } from '../../src/testing/index.js'
import type { Need, Service } from '../drivers/driver.js'
import { loadDriver } from '../drivers/index.js'

/** CPU of this process over a measurement, microseconds; delays of the event loop, ms. */
export interface Used {
  readonly user: number
  readonly system: number
  readonly wall: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** What is sent: how many times, how many bytes, with which pause. */
interface Sending {
  readonly rounds: number
  readonly bytes: number
  readonly gapMs: number
  readonly delaysToo?: boolean
}

let service: Service<unknown>

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * @param delaysToo - also measures the event loop's delays, with a timer that takes 2 % of a core
 */
async function measured(work: () => Promise<void>, delaysToo = false): Promise<Used> {
  const delays = monitorEventLoopDelay({ resolution: 1 })
  if (delaysToo) delays.enable()
  const startedAt = performance.now()
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  delays.disable()
  const wall = performance.now() - startedAt
  const ms = (percentile: number): number => delays.percentile(percentile) / 1e6
  return { user, system, wall, p50: ms(50), p99: ms(99), max: delays.max / 1e6 }
}

answer({
  async serve(driver: string, need: Need) {
    service = await (await loadDriver(driver)).serve('127.0.0.1', need)
    return { port: service.port, path: service.path }
  },
  connected: () => service.connected?.() ?? service.handles.size,
  /** Broadcasts one after another, with a pause between them. */
  broadcast: ({ rounds, bytes, gapMs, delaysToo }: Sending) => {
    const data = 'x'.repeat(bytes)
    return measured(async () => {
      for (let round = 0; round < rounds; round++) {
        await service.broadcast(data)
        await pause(gapMs)
      }
    }, delaysToo)
  },
  /** Sends a different event to each client, a number of times per second, like a token stream. */
  unicast: ({ rounds, bytes, gapMs, delaysToo }: Sending) =>
    measured(async () => {
      let number = 0
      for (let round = 0; round < rounds; round++) {
        for (const handle of service.handles) {
          number += 1
          const answer = service.send(handle, String(number).padStart(bytes, 'x'))
          if (typeof answer === 'object') await answer
        }
        await pause(gapMs)
      }
    }, delaysToo),
  /**
   * Sends as fast as one client takes events. If the library reports back-pressure, it waits in the
   * library's own way.
   */
  stream: ({ rounds, bytes, delaysToo }: Sending) =>
    measured(async () => {
      const data = 'x'.repeat(bytes)
      const [handle] = service.handles
      for (let round = 0; round < rounds; round++) {
        const answer = service.send(handle, data)
        if (typeof answer === 'object') await answer
        else if (answer === 'queued') await service.room?.(handle)
        // Yields to the rest of the process from time to time, as any application does.
        if (round % 1_000 === 999) await new Promise(setImmediate)
      }
    }, delaysToo),
  /** Does nothing, to measure timers, heartbeats and samples. */
  idle: (ms: number) => measured(() => pause(ms)),
  cpu: () => process.cpuUsage(),
  collect: () => globalThis.gc?.(),
  memory() {
    globalThis.gc?.()
    globalThis.gc?.()
    const { heapUsed, rss, external } = process.memoryUsage()
    return { heapUsed, rss, external }
  },
})
