// Reports the events of streams to the counters and to diagnostics channels. Later events of a stream may happen in any
// request's context, so their subscribers are called in the root context. The opening is announced in the context of
// its request.
import { systemClock } from '../internal/clock.js'
import { counters, countUp } from '../internal/counters.js'
import * as telemetry from '../internal/diagnostics.js'
import { inRootContext } from '../internal/scheduling.js'
import type { PeerEvidence } from '../liveness/evidence.js'
import type { Verdict } from '../liveness/verdict.js'
import type { Watch } from '../liveness/watch.js'
import type { CloseInfo, CloseReason } from './close-info.js'
import type { EventStream } from './event-stream.js'

/** The messages that streams publish, by channel name. */
export interface StreamMessages {
  /** A stream was opened. If its client had already left, `tcp-sse:stream:close` follows at once. */
  readonly 'tcp-sse:stream:open': {
    /** The application's stream. */
    readonly stream: EventStream
  }
  /** The request was answered with 503. */
  readonly 'tcp-sse:stream:refused': {
    /** The application's stream. */
    readonly stream: EventStream
    /**
     * Why the request was refused:
     * - `drained`: its server is shutting down.
     * - `refused`: `admission` or `maxStreamsPerConnection` was reached.
     */
    readonly reason: CloseReason
  }
  /** The stream has ended. */
  readonly 'tcp-sse:stream:close': {
    /** The application's stream. */
    readonly stream: EventStream
    /** The value of `stream.closed`. */
    readonly info: CloseInfo
    /**
     * Milliseconds for which a dead peer had been silent when the monitor or the kernel detected it, as counted by
     * `metrics().timeToDetect`. `undefined` for every other end, and without the kernel's data.
     */
    readonly timeToDetect: number | undefined
  }
  /** A sample has changed the verdict. */
  readonly 'tcp-sse:stream:verdict': {
    /** The application's stream. */
    readonly stream: EventStream
    /** The verdict of this sample. */
    readonly verdict: Verdict
    /** The verdict of the previous sample. */
    readonly previous: Verdict
  }
  /** An event exceeded the limits of a stream's queue. */
  readonly 'tcp-sse:stream:overflow': {
    /** The application's stream. */
    readonly stream: EventStream
    /** `dropped`: events were dropped. `closed`: the stream has ended with reason `overflow`. */
    readonly outcome: 'dropped' | 'closed'
    /** The number of events that this send has dropped; 0 with `closed`. */
    readonly events: number
    /** The bytes of these events. */
    readonly bytes: number
  }
}

/** Reports that a stream accepts events. */
export function opened(stream: EventStream): void {
  counters.opened += 1
  if (!telemetry.streamOpen.hasSubscribers) return
  telemetry.streamOpen.publish({ stream } satisfies StreamMessages['tcp-sse:stream:open'])
}

/** Reports that a request for a stream was answered with 503. */
export function refused(stream: EventStream, { reason }: CloseInfo): void {
  counters.refused += 1
  if (!telemetry.streamRefused.hasSubscribers) return
  telemetry.streamRefused.publish({
    stream,
    reason,
  } satisfies StreamMessages['tcp-sse:stream:refused'])
}

/** Reports that a stream has ended. `timeToDetect` is how long a dead peer had been silent, in ms. */
export function closed(stream: EventStream, info: CloseInfo, timeToDetect?: number): void {
  countUp(counters.closed, info.reason)
  counters.bytes += info.bytesSent
  counters.duration.observe(info.openedFor)
  if (timeToDetect !== undefined) counters.timeToDetect.observe(timeToDetect)
  if (!telemetry.streamClose.hasSubscribers) return
  const message = { stream, info, timeToDetect } satisfies StreamMessages['tcp-sse:stream:close']
  inRootContext(() => telemetry.streamClose.publish(message))
}

/**
 * How long a dead peer was silent. If the monitor detected it, the evidence has the time; if the kernel did, the last
 * sample has it.
 */
export function silenceOf(
  evidence: PeerEvidence | undefined,
  watch: Watch | undefined,
): number | undefined {
  if (evidence !== undefined) return evidence.silentFor
  const silence = watch?.silentFor(systemClock.now())
  return silence && Math.max(0, silence)
}

/** Reports a changed verdict. */
export function judgedAnew(stream: EventStream, verdict: Verdict, previous: Verdict): void {
  if (verdict === 'slow') counters.stalls += 1
  if (!telemetry.streamVerdict.hasSubscribers) return
  const message = { stream, verdict, previous } satisfies StreamMessages['tcp-sse:stream:verdict']
  inRootContext(() => telemetry.streamVerdict.publish(message))
}

/** An event exceeded the limits of a stream's queue. */
export function overflowing(message: StreamMessages['tcp-sse:stream:overflow']): void {
  counters.droppedEvents += message.events
  counters.droppedBytes += message.bytes
  if (!telemetry.streamOverflow.hasSubscribers) return
  inRootContext(() => telemetry.streamOverflow.publish(message))
}
