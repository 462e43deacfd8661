// What streams tell the process's counters, and those who listen. What happens to a stream later may come from anybody's turn, so
// that its subscribers are called in the root context; its beginning is announced in that of its request.
import { systemClock } from '../internal/clock.js'
import { counters, countUp } from '../internal/counters.js'
import * as telemetry from '../internal/diagnostics.js'
import { inRootContext } from '../internal/scheduling.js'
import type { Verdict } from '../liveness/verdict.js'
import type { PeerEvidence, Watch } from '../liveness/watch.js'
import type { CloseInfo, CloseReason } from './close-info.js'
import type { EventStream } from './event-stream.js'

/** Published on `tcp-sse:stream:open`. */
export interface StreamOpenMessage {
  /** Whose news it is. */
  readonly stream: EventStream
}

/** Published on `tcp-sse:stream:refused`: the request was answered with 503. */
export interface StreamRefusedMessage {
  /** Whose news it is. */
  readonly stream: EventStream
  /** `drained`: its server is shutting down. `refused`: its `admission` was full. */
  readonly reason: CloseReason
}

/** Published on `tcp-sse:stream:close`. */
export interface StreamCloseMessage {
  /** Whose news it is. */
  readonly stream: EventStream
  /** What `stream.closed` gives. */
  readonly info: CloseInfo
  /**
   * Milliseconds for which a dead peer had been silent when it was found, by the monitor or by the kernel; what
   * `metrics().timeToDetect` counts. `undefined` for every other end, and where nobody could look.
   */
  readonly timeToDetect: number | undefined
}

/** Published on `tcp-sse:stream:verdict`. */
export interface StreamVerdictMessage {
  /** Whose news it is. */
  readonly stream: EventStream
  /** By this look. */
  readonly verdict: Verdict
  /** By the look before. */
  readonly previous: Verdict
}

/** Published on `tcp-sse:stream:overflow`. */
export interface StreamOverflowMessage {
  /** Whose news it is. */
  readonly stream: EventStream
  /** `closed`: the stream has ended with reason `overflow`. */
  readonly outcome: 'dropped' | 'closed'
  /** Events that this one send has dropped; 0 with `closed`. */
  readonly events: number
  /** The bytes of these. */
  readonly bytes: number
}

/** A stream takes events. */
export function opened(stream: EventStream): void {
  counters.opened += 1
  if (!telemetry.streamOpen.hasSubscribers) return
  telemetry.streamOpen.publish({ stream } satisfies StreamOpenMessage)
}

/** A request for a stream was answered with 503. */
export function refused(stream: EventStream, { reason }: CloseInfo): void {
  counters.refused += 1
  if (!telemetry.streamRefused.hasSubscribers) return
  telemetry.streamRefused.publish({ stream, reason } satisfies StreamRefusedMessage)
}

/** A stream has ended; a dead peer's had been silent for so long. */
export function closed(stream: EventStream, info: CloseInfo, timeToDetect?: number): void {
  countUp(counters.closed, info.reason)
  counters.bytes += info.bytesSent
  counters.duration.observe(info.openedFor)
  if (timeToDetect !== undefined) counters.timeToDetect.observe(timeToDetect)
  if (!telemetry.streamClose.hasSubscribers) return
  const message = { stream, info, timeToDetect } satisfies StreamCloseMessage
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
  const message = { stream, verdict, previous } satisfies StreamVerdictMessage
  inRootContext(() => telemetry.streamVerdict.publish(message))
}

/** A stream's queue had no room for an event. */
export function overflowing(message: StreamOverflowMessage): void {
  counters.droppedEvents += message.events
  counters.droppedBytes += message.bytes
  if (!telemetry.streamOverflow.hasSubscribers) return
  inRootContext(() => telemetry.streamOverflow.publish(message))
}
