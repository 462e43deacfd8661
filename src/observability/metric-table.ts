// The values of `metrics()` as metrics systems need them: one row per metric, for all of these
// systems.
import type { HistogramSnapshot, Metrics } from './metrics.js'

/** A value, and the label that distinguishes it from the others of its row. */
export type Sample = readonly [value: number, labels: Readonly<Record<string, string>>]

/** One metric. */
export interface MetricRow {
  /** Words joined by dots, as in OpenTelemetry. Other systems replace the dots. */
  readonly name: string
  readonly help: string
  readonly kind: 'counter' | 'gauge'
  /** A UCUM code; absent for counts. */
  readonly unit?: 'By'
  readonly label?: 'reason' | 'state' | 'outcome' | 'le'
  read(now: Metrics): readonly Sample[]
}

export const METRICS: readonly MetricRow[] = [
  {
    name: 'streams.active',
    help: 'Event streams that are open or ending',
    kind: 'gauge',
    read: ({ active }) => one(active),
  },
  {
    name: 'streams.opened',
    help: 'Event streams that were opened',
    kind: 'counter',
    read: ({ opened }) => one(opened),
  },
  {
    name: 'streams.refused',
    help: 'Requests for event streams that were answered with 503',
    kind: 'counter',
    read: ({ refused }) => one(refused),
  },
  {
    name: 'streams.closed',
    help: 'Event streams that have ended, by reason',
    kind: 'counter',
    label: 'reason',
    read: ({ closed }) => by('reason', closed),
  },
  {
    name: 'events',
    help: 'Events handed to connections',
    kind: 'counter',
    read: ({ events }) => one(events),
  },
  {
    name: 'sent',
    help: 'Bytes of events and comments handed to connections',
    kind: 'counter',
    unit: 'By',
    read: ({ bytes }) => one(bytes),
  },
  {
    name: 'dropped.events',
    help: 'Events that overflow policies have dropped',
    kind: 'counter',
    read: ({ dropped }) => one(dropped.events),
  },
  {
    name: 'dropped',
    help: 'Bytes of the events that overflow policies have dropped',
    kind: 'counter',
    unit: 'By',
    read: ({ dropped }) => one(dropped.bytes),
  },
  {
    name: 'heartbeats',
    help: 'Heartbeat comments',
    kind: 'counter',
    read: ({ heartbeats }) => one(heartbeats),
  },
  {
    name: 'echoes',
    help: 'Echoes that clients have sent',
    kind: 'counter',
    read: ({ echoes }) => one(echoes),
  },
  {
    name: 'stalls',
    help: 'Times that a client was found to have fallen behind',
    kind: 'counter',
    read: ({ stalls }) => one(stalls),
  },
  {
    name: 'broadcasts',
    help: 'Broadcasts of channels',
    kind: 'counter',
    read: ({ broadcasts }) => one(broadcasts),
  },
  {
    name: 'channels',
    help: 'Channels with a hub, by state',
    kind: 'gauge',
    label: 'state',
    read: ({ hub }) => by('state', hub.channels),
  },
  {
    name: 'published',
    help: 'Broadcasts of channels with a hub, by outcome',
    kind: 'counter',
    label: 'outcome',
    read: ({ hub }) => by('outcome', hub.published),
  },
  {
    name: 'resumed',
    help: 'Subscriptions to channels with a hub, by outcome',
    kind: 'counter',
    label: 'outcome',
    read: ({ hub }) => by('outcome', hub.resumed),
  },
  {
    name: 'hub.reads',
    help: 'Times that a log was read for clients that reconnected',
    kind: 'counter',
    read: ({ hub }) => one(hub.reads),
  },
  {
    name: 'gaps',
    help: 'Gaps that channels with a hub have found',
    kind: 'counter',
    read: ({ hub }) => one(hub.gaps),
  },
  {
    name: 'guard.closed',
    help: 'Connections and streams that guards have ended, by reason',
    kind: 'counter',
    label: 'reason',
    read: ({ guardClosed }) => by('reason', guardClosed),
  },
  {
    name: 'queue.streams',
    help: 'Event streams by the bytes that are waiting in user space now, cumulative',
    kind: 'gauge',
    label: 'le',
    read: ({ queueDepth }) => byBound(queueDepth),
  },
  {
    name: 'queue',
    help: 'Bytes that are waiting for clients in user space now',
    kind: 'gauge',
    unit: 'By',
    read: ({ queueDepth }) => one(queueDepth.sum),
  },
]

function one(value: number): Sample[] {
  return [[value, {}]]
}

function by(label: string, counts: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(counts).map(([kind, count]) => [count, { [label]: kind }])
}

function byBound({ buckets, count }: HistogramSnapshot): Sample[] {
  const samples: Sample[] = buckets.map((bucket) => [bucket.count, { le: String(bucket.le) }])
  return [...samples, [count, { le: '+Inf' }]]
}
