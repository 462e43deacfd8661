// A snapshot of the process's counters.

import type { SubscriptionOutcome } from '../channel/options.js'
import { GUARD_CLOSE_REASONS, type GuardCloseReason } from '../guard/options.js'
import type { FeedState } from '../hub/hub.js'
import { counters, Histogram, type HistogramSnapshot } from '../internal/counters.js'
import { CLOSE_REASONS, type CloseReason } from '../stream/close-info.js'
import type { LiveStream } from '../stream/live-stream.js'
import { liveStreams } from '../stream/live-streams.js'
import type { Dropped } from '../stream/queue.js'

export type { HistogramSnapshot } from '../internal/counters.js'

/**
 * What the streams of this process have done since it started. Times in milliseconds, sizes in
 * bytes. All values except `active`, `queueDepth` and `hub.channels` only increase. Reasons are a
 * fixed list, and nothing is kept per client, path or id.
 */
export interface Metrics {
  /** Streams that are open or ending now. */
  readonly active: number
  /** Streams that were opened. */
  readonly opened: number
  /**
   * Requests that were answered with 503: the limit of `admission` or `maxStreamsPerConnection` was
   * reached, or a drain had begun.
   */
  readonly refused: number
  /** Streams that have ended, by reason. All reasons are present from the start. */
  readonly closed: Readonly<Record<CloseReason, number>>
  /** How long streams had been open when they ended, in milliseconds. */
  readonly duration: HistogramSnapshot
  /**
   * Events that were passed to connections. Comments and heartbeats do not count. A broadcast
   * counts once per subscriber.
   */
  readonly events: number
  /**
   * Bytes of events, comments and heartbeats that were passed to connections, without HTTP framing.
   */
  readonly bytes: number
  /** Events, and their bytes, that overflow policies have dropped. */
  readonly dropped: Dropped
  /** Heartbeat comments, and the beats of streams with the option `echo`. */
  readonly heartbeats: number
  /** Echoes that clients have sent to streams with the option `echo`. */
  readonly echoes: number
  /**
   * How often a client fell behind: the verdict of a stream changed to `slow`. Streams that were
   * ended because of it count in `closed.stalled`.
   */
  readonly stalls: number
  /**
   * How long dead peers had been silent when they were found, in milliseconds. Without the addon
   * this is unknown, and the histogram stays empty.
   */
  readonly timeToDetect: HistogramSnapshot
  /** Streams by the bytes that are waiting for them in user space now. */
  readonly queueDepth: HistogramSnapshot
  /** Broadcasts of channels. */
  readonly broadcasts: number
  /** Channels with a hub. */
  readonly hub: HubMetrics
  /** Connections and streams that guards have ended, by reason. */
  readonly guardClosed: Readonly<Record<GuardCloseReason, number>>
}

/** Counters of channels with a hub. All values except `channels` only increase. */
export interface HubMetrics {
  /** Channels that are open now, by the state of their feed. */
  readonly channels: Readonly<Record<FeedState, number>>
  /**
   * Broadcasts, by outcome: the engine has taken the event, has not taken it, or the outcome is
   * unknown.
   */
  readonly published: Readonly<Record<'taken' | 'down' | 'unknown', number>>
  /** Subscriptions, by how much could be replayed. */
  readonly resumed: Readonly<Record<SubscriptionOutcome, number>>
  /** Times that a log was read for clients that reconnected. */
  readonly reads: number
  /** Gaps that channels have found. */
  readonly gaps: number
}

const FEED_STATES = ['live', 'catching-up', 'down'] as const
const PUBLISHED = ['taken', 'down', 'unknown'] as const
const RESUMED = ['complete', 'partial', 'unknown', 'unavailable', 'closed'] as const

/**
 * Upper bounds in bytes. They include 0, the amount that Node buffers before it signals
 * back-pressure, and the limit at which a stream overflows.
 */
const DEPTHS = [0, 1_024, 16_384, 65_536, 262_144, 1_048_576, 4_194_304]

/**
 * Returns the counters of this process. A snapshot costs one pass over the live streams, about a
 * microsecond each.
 *
 * Copies of the library in one process (ESM and CommonJS) share one set of counters, if they have
 * the same version.
 *
 * @example
 * const { active, closed } = metrics()
 * console.log(active, closed['peer-dead'])
 */
export function metrics(): Metrics {
  const queueDepth = new Histogram(DEPTHS)
  let bytes = 0
  for (const stream of liveStreams()) bytes += survey(stream, queueDepth)
  const { opened, closed, guardClosed } = counters
  let ended = 0
  for (const count of closed.values()) ended += count
  return {
    active: opened - ended,
    opened,
    refused: counters.refused,
    closed: byReason(CLOSE_REASONS, closed),
    duration: counters.duration.snapshot(),
    events: counters.events,
    bytes: counters.bytes + bytes,
    dropped: { events: counters.droppedEvents, bytes: counters.droppedBytes },
    heartbeats: counters.heartbeats,
    echoes: counters.echoes,
    stalls: counters.stalls,
    timeToDetect: counters.timeToDetect.snapshot(),
    queueDepth: queueDepth.snapshot(),
    broadcasts: counters.broadcasts,
    hub: hubMetrics(),
    guardClosed: byReason(GUARD_CLOSE_REASONS, guardClosed),
  }
}

/** Returns the part of the counters that concerns channels with a hub. */
export function hubMetrics(): HubMetrics {
  return {
    channels: byReason(FEED_STATES, counters.feeds),
    published: byReason(PUBLISHED, counters.published),
    resumed: byReason(RESUMED, counters.resumed),
    reads: counters.hubReads,
    gaps: counters.gaps,
  }
}

/** Returns the bytes that the stream has sent. */
function survey({ writer }: LiveStream, queueDepth: Histogram): number {
  queueDepth.observe(writer.pending + writer.transport.buffered)
  return writer.bytesSent
}

function byReason<R extends string>(
  reasons: readonly R[],
  counts: ReadonlyMap<string, number>,
): Record<R, number> {
  const entries = reasons.map((reason) => [reason, counts.get(reason) ?? 0])
  return Object.fromEntries(entries) as Record<R, number>
}
