// The time-dependent parts of a stream: heartbeats, the end of a stalled client, the discarding of an unread body.
import { counters } from '../internal/counters.js'
import { encodeComment } from '../sse/encode.js'
import type { Writer } from './writer.js'

const HEARTBEAT = encodeComment('').bytes

/** The state of a stream at a sample. */
interface StreamSample {
  readonly writer: Writer
  readonly openedAt: number
  readonly now: number
  /** The same without the time for which the event loop was blocked. */
  readonly loopTime: number
  /** Milliseconds for which bytes have waited on the connection without an acknowledgement. */
  readonly stalledFor: number
  /** Whether the peer has left more than one question unanswered. */
  readonly unanswered: boolean
  /** Milliseconds since the kernel last sent data, if known. */
  readonly sentAgo?: number | undefined
  /** Called when the client is stalled, with the milliseconds for which it has accepted nothing. */
  onStalled(stalledFor: number): void
}

/**
 * Checks all deadlines. They are compared at the monitor's tick, so that no stream has a timer of its own.
 *
 * @returns the time of the next check, or `Infinity`
 */
export function checkDeadlines(sample: StreamSample): number {
  const { writer, openedAt, now, loopTime } = sample
  const { plan } = writer.settings
  // By this time the handler could have started to read the request's body. A body that hides the FIN is discarded
  // before D ends.
  const bodyDue = openedAt + plan.detectWithin / 2
  const discardBody = now >= bodyDue
  const { transport } = writer
  const stalledFor = transport.sample({ loopTime, stalledFor: sample.stalledFor, discardBody })
  if (stalledFor === undefined) return Number.POSITIVE_INFINITY
  // If the position of the response in the connection's bytes is unknown, the response may wait while the connection is
  // quiet.
  const next = transport.ledger === undefined ? now + plan.pace : Number.POSITIVE_INFINITY
  return Math.min(discardBody ? next : Math.min(bodyDue, next), checkStall(sample, stalledFor))
}

/** The lifetime of a stream in milliseconds: 80 to 100 % of its `maxAge`. */
export function lifetime(maxAge: number, random = Math.random()): number {
  return maxAge * (1 - JITTER * random)
}

const JITTER = 0.2

function checkStall(sample: StreamSample, stalledFor: number): number {
  const { writer, now } = sample
  const { plan, stallTimeout } = writer.settings
  if (stallTimeout === false || stalledFor === 0) return heartbeat(sample)
  // While questions are unanswered, the client may be gone rather than slow: the monitor decides.
  if (!sample.unanswered && stalledFor >= stallTimeout) {
    sample.onStalled(stalledFor)
    return Number.POSITIVE_INFINITY
  }
  const left = Math.max(0, stallTimeout - stalledFor)
  return Math.min(heartbeat(sample), now + Math.min(plan.urgentPace, left))
}

/** Sends a heartbeat, unless there was traffic or the client is behind. */
function heartbeat({ writer, now, sentAgo }: StreamSample): number {
  const { heartbeat: pause } = writer.settings.plan
  const last = writer.lastTraffic(now, sentAgo)
  if (pause === false || !writer.hasRoom) return Number.POSITIVE_INFINITY
  if (now - last < pause) return last + pause
  writer.write(HEARTBEAT)
  counters.heartbeats += 1
  return writer.lastTraffic(now) + pause
}
