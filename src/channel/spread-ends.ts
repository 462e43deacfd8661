// Ends streams one after another, so that their clients do not reconnect at the same time.
import { callAfter } from '../internal/scheduling.js'
import type { LiveStream } from '../stream/live-stream.js'
import { ShutdownMessage } from '../stream/shutdown-message.js'

/**
 * The shortest `retry` that clients are sent, in milliseconds. Each gets a different value, up to
 * twice as long.
 */
const RETRY = 1_000
const TICK = 20

/** @param spreadOver - milliseconds over which the ends are spread */
export function spreadEnds(streams: readonly LiveStream[], spreadOver: number): void {
  const shutdownMessage = new ShutdownMessage(RETRY, undefined)
  const ticks = Math.max(1, Math.ceil(spreadOver / TICK))
  const each = Math.max(1, Math.ceil(streams.length / ticks))
  const pause = Math.max(TICK, (spreadOver * each) / Math.max(1, streams.length))
  let next = 0
  const endSome = (): void => {
    for (const stream of streams.slice(next, next + each)) {
      stream.finish('drained', shutdownMessage.events())
    }
    next += each
    if (next < streams.length) callAfter(pause, endSome)
  }
  endSome()
}
