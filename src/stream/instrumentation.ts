// What streams tell the process's counters, and those who listen. What happens to a stream later may come from anybody's turn, so
// that its subscribers are called in the root context; its beginning is announced in that of its request.
import { systemClock } from '../internal/clock.js'
import { counters, countUp } from '../internal/counters.js'
import * as telemetry from '../internal/diagnostics.js'
import { inRootContext } from '../internal/scheduling.js'
import type { PeerEvidence } from '../liveness/evidence.js'
import type { Verdict } from '../liveness/verdict.js'
import type { Watch } from '../liveness/watch.js'
import type { CloseInfo, CloseReason } from './close-info.js'
import type { EventStream } from './event-stream.js'

/** What streams publish, by the name of the channel. */
export interface StreamMessages {
  /** The head has been sent, and the stream takes events. */
  readonly 'tcp-sse:stream:open': {
    /** The application's own. */
    readonly stream: EventStream
  }
  /** The request was answered with 503. */
  readonly 'tcp-sse:stream:refused': {
    /** The application's own. */
    readonly stream: EventStream
    /** `drained`: its server is shutting down. `refused`: `admission` or `maxStreamsPerConnection` was reached. */
    readonly reason: CloseReason
  }
  /** The stream has ended. */
  readonly 'tcp-sse:stream:close': {
    /** The application's own. */
    readonly stream: EventStream
    /** What `stream.closed` gives. */
    readonly info: CloseInfo
    /**
     * Milliseconds for which a dead peer had been silent when it was found, by the monitor or by the kernel; what
     * `metrics().timeToDetect` counts. `undefined` for every other end, and without a socket to look at.
     */
    readonly timeToDetect: number | undefined
  }
  /** A look has found another verdict than the one before. */
  readonly 'tcp-sse:stream:verdict': {
    /** The application's own. */
    readonly stream: EventStream
    /** By this look. */
    readonly verdict: Verdict
    /** By the look before. */
    readonly previous: Verdict
  }
  /** A stream's queue had no room for an event. */
  readonly 'tcp-sse:stream:overflow': {
    /** The application's own. */
    readonly stream: EventStream
    /** `closed`: the stream has ended with reason `overflow`. */
    readonly outcome: 'dropped' | 'closed'
    /** Events that this one send has dropped; 0 with `closed`. */
    readonly events: number
    /** The bytes of these. */
    readonly bytes: number
  }
}

/** A stream takes events. */
export function opened(stream: EventStream): void {
  counters.opened += 1
  if (!telemetry.streamOpen.hasSubscribers) return
  telemetry.streamOpen.publish({ stream } satisfies StreamMessages['tcp-sse:stream:open'])
}

/** A request for a stream was answered with 503. */
export function refused(stream: EventStream, { reason }: CloseInfo): void {
  counters.refused += 1
  if (!telemetry.streamRefused.hasSubscribers) return
  telemetry.streamRefused.publish({
    stream,
    reason,
  } satisfies StreamMessages['tcp-sse:stream:refused'])
}

/** A stream has ended; a dead peer's had been silent for so long. */
export function closed(stream: EventStream, info: CloseInfo, timeToDetect?: number): void {
  countUp(counters.closed, info.reason)
  counters.bytes += info.bytesSent
  counters.duration.observe(info.openedFor)
  if (timeToDetect !== undefined) counters.timeToDetect.observe(timeToDetect)
  if (!telemetry.streamClose.hasSubscribers) return
  const message = { stream, info, timeToDetect } satisfies StreamMessages['tcp-sse:stream:close']
  inRootContext(() => telemetry.streamClose.publish(message))
}

/** A peer is found dead: by the monitor, with its evidence, or by the kernel, and then the last look has to tell. */
export function silenceOf(
  evidence: PeerEvidence | undefined,
  watch: Watch | undefined,
): number | undefined {
  if (evidence !== undefined) return evidence.silentFor
  const silence = watch?.silentFor(systemClock.now())
  return silence && Math.max(0, silence)
}

/** A look has found another verdict. */
export function judgedAnew(stream: EventStream, verdict: Verdict, previous: Verdict): void {
  if (verdict === 'slow') counters.stalls += 1
  if (!telemetry.streamVerdict.hasSubscribers) return
  const message = { stream, verdict, previous } satisfies StreamMessages['tcp-sse:stream:verdict']
  inRootContext(() => telemetry.streamVerdict.publish(message))
}

/** A stream's queue had no room for an event. */
export function overflowing(message: StreamMessages['tcp-sse:stream:overflow']): void {
  counters.droppedEvents += message.events
  counters.droppedBytes += message.bytes
  if (!telemetry.streamOverflow.hasSubscribers) return
  inRootContext(() => telemetry.streamOverflow.publish(message))
}
