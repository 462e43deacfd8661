// What a stream does by time: heartbeats on a quiet one, an end for a client that takes nothing, an age.
import { counters } from '../internal/counters.js'
import { encodeComment } from '../sse/encode.js'
import type { Writer } from './writer.js'

const HEARTBEAT = encodeComment('').bytes

/** A stream at a look. */
interface StreamSample {
  readonly writer: Writer
  readonly openedAt: number
  readonly now: number
  /** The same without the time for which the event loop was blocked. */
  readonly loopTime: number
  /** Milliseconds for which bytes have waited on the connection and none was acknowledged. */
  readonly stalledFor: number
  /** Whether the peer has left more than one question unanswered. */
  readonly unanswered: boolean
  /** Milliseconds since the kernel last sent data, where it has told. */
  readonly sentAgo?: number | undefined
  /** Called when the client is to be given up, with the ms for which it has taken nothing. */
  onStalled(stalledFor: number): void
}

/**
 * Does what is due. Deadlines are compared on the monitor's tick: no stream has a timer of its own.
 *
 * @returns the time by which to check again, or `Infinity`
 */
export function checkDeadlines(look: StreamSample): number {
  const { writer, openedAt, now, loopTime } = look
  const { plan } = writer.settings
  // The handler has had the time to begin with its request's body, and what hides the FIN is gone before D is over.
  const bodyDue = openedAt + plan.detectWithin / 2
  const discardBody = now >= bodyDue
  const { transport } = writer
  const stalledFor = transport.sample({ loopTime, stalledFor: look.stalledFor, discardBody })
  if (stalledFor === undefined) return Number.POSITIVE_INFINITY
  // Where the connection's bytes are not this response's, it can have to wait while the connection is quiet.
  const next = transport.ledger === undefined ? now + plan.pace : Number.POSITIVE_INFINITY
  return Math.min(discardBody ? next : Math.min(bodyDue, next), checkStall(look, stalledFor))
}

/** How long a stream is to live, ms: 80 to 100 % of its `maxAge`. */
export function lifetime(maxAge: number, random = Math.random()): number {
  return maxAge * (1 - JITTER * random)
}

const JITTER = 0.2

function checkStall(look: StreamSample, stalledFor: number): number {
  const { writer, now } = look
  const { plan, stallTimeout } = writer.settings
  if (stallTimeout === false || stalledFor === 0) return heartbeat(look)
  // While nothing is answered it is not about reading: the monitor decides.
  if (!look.unanswered && stalledFor >= stallTimeout) {
    look.onStalled(stalledFor)
    return Number.POSITIVE_INFINITY
  }
  const left = Math.max(0, stallTimeout - stalledFor)
  return Math.min(heartbeat(look), now + Math.min(plan.urgentPace, left))
}

/** Skipped when there was traffic, paused while the client is behind. */
function heartbeat({ writer, now, sentAgo }: StreamSample): number {
  const { heartbeat: pause } = writer.settings.plan
  const last = writer.lastTraffic(now, sentAgo)
  if (pause === false || !writer.hasRoom) return Number.POSITIVE_INFINITY
  if (now - last < pause) return last + pause
  writer.write(HEARTBEAT)
  counters.heartbeats += 1
  return writer.lastTraffic(now) + pause
}
