// One of two server processes with one library.
import { answer } from '../../../src/testing/index.js'
import { delay } from '../../../test/support/delay.js'
import { libraries, type Name, type Service } from './libraries.js'

let service: Service
let before = process.cpuUsage()
/** Messages of which the library has said that they were not, or may not have been, taken. */
const reported = new Set<number>()

answer({
  /** @returns the port to which its clients connect */
  async start(name: Name, url: string): Promise<number> {
    service = await libraries[name](url)
    return service.port
  },
  size: () => service.size(),
  /**
   * Publishes messages at an even rate, numbered from `first`.
   *
   * @returns when each was published, ms since the epoch
   */
  async publish(first: number, count: number, perSecond: number): Promise<number[]> {
    const text = 'x'.repeat(100)
    const times: number[] = []
    const began = performance.now()
    for (let n = first; n < first + count; n++) {
      await delay(Math.max(0, began + (times.length * 1_000) / perSecond - performance.now()))
      times.push(performance.timeOrigin + performance.now())
      service.publish({ n, text })?.catch(() => reported.add(n))
    }
    return times
  },
  reported: () => [...reported],
  resetCpu: () => {
    before = process.cpuUsage()
  },
  /** Microseconds since `resetCpu`. */
  cpu(): number {
    const { user, system } = process.cpuUsage(before)
    return user + system
  },
})
