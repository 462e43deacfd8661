// A sample of the live streams, as the page gets it.
import { systemClock } from '../internal/clock.js'
import { wallClockNow } from '../internal/scheduling.js'
import type { Verdict } from '../liveness/verdict.js'
import type { EventStream } from '../stream/event-stream.js'
import type { ChannelsSample } from './channels.js'
import type { Describe, Ended, Entry, Registry } from './registry.js'
import { shortened } from './text.js'

/** One connection. Times in milliseconds, sizes in bytes. Unknown values are absent. */
export interface Row {
  readonly id: number
  readonly label: string
  readonly verdict: Verdict
  readonly state: EventStream['state']
  readonly age: number
  readonly rtt: number | undefined
  readonly pending: number
  readonly unsent: number | undefined
  readonly unacked: number | undefined
  readonly lastAck: number | undefined
  readonly lastEcho: number | undefined
  readonly delivered: string | undefined
  readonly deliveredEvents: number | undefined
}

/** What each page gets per interval. */
export interface DashboardSample {
  /** Milliseconds, as of `Date.now()`. */
  readonly at: number
  readonly live: number
  /** All live streams, by verdict. */
  readonly verdicts: Record<Verdict, number>
  /** The streams that are shown. */
  readonly rows: readonly Row[]
  readonly reasons: Registry['reasons']
  /** Channels with a hub, if there are any. */
  readonly channels: ChannelsSample | undefined
  /** Present only if it has changed since the previous sample. */
  readonly ended?: readonly Ended[] | undefined
}

/** If not all streams can be shown, those in trouble come first. */
const VERDICTS: readonly Verdict[] = ['dead', 'half-closed', 'slow', 'congested', 'alive']

/**
 * Samples at most `maxRows` streams. The verdicts of all streams are counted, because they are
 * known without a sample.
 */
export function takeSample(
  registry: Registry,
  maxRows: number,
  describe: Describe,
): DashboardSample {
  const groups: Record<Verdict, [EventStream, Entry][]> = {
    dead: [],
    'half-closed': [],
    slow: [],
    congested: [],
    alive: [],
  }
  const verdicts = { alive: 0, congested: 0, slow: 0, 'half-closed': 0, dead: 0 }
  for (const pair of registry.live) {
    const { verdict } = pair[0]
    verdicts[verdict] += 1
    if (groups[verdict].length < maxRows) groups[verdict].push(pair)
  }
  const chosen = VERDICTS.flatMap((verdict) => groups[verdict]).slice(0, maxRows)
  const now = systemClock.now()
  const rows = chosen
    .sort(([, a], [, b]) => a.id - b.id)
    .map(([stream, entry]) => row(stream, entry, now, describe))
  const { live, reasons, channels } = registry
  const at = wallClockNow()
  return { at, live: live.size, verdicts, rows, reasons, channels: channels.sample() }
}

function row(stream: EventStream, { id, openedAt }: Entry, now: number, describe: Describe): Row {
  const { pending, unsent, unacked } = stream.buffered()
  const snapshot = stream.inspect()
  const delivered = stream.delivered()
  return {
    id,
    label: describe(stream),
    verdict: stream.verdict,
    state: stream.state,
    age: now - openedAt,
    rtt: snapshot?.rtt,
    pending,
    unsent,
    unacked,
    lastAck: snapshot?.lastAckReceived,
    lastEcho: stream.lastEcho === undefined ? undefined : wallClockNow() - stream.lastEcho,
    delivered: delivered?.id === undefined ? undefined : shortened(delivered.id),
    deliveredEvents: delivered?.events,
  }
}
