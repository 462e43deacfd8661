// The trials, as data.

/** One measurement, for all drivers. */
export interface Trial {
  readonly name: string
  readonly what: 'broadcast' | 'unicast' | 'stream' | 'churn' | 'idle' | 'memory'
  readonly clients: number
  /** Sends of one measurement. */
  readonly rounds: number
  /** Bytes of data of an event. */
  readonly bytes: number
  readonly gapMs: number
  readonly drivers: readonly string[]
}

const RIVALS = [
  'better-sse',
  'fastify-sse',
  'hono',
  'graphql-sse',
  'express-sse',
  'sse-channel',
  'http-string',
  'http-buffer',
] as const
/** tcp-sse with the fast path on and off, and the bare loop in C. */
const OURS = ['tcp-sse', 'tcp-sse-slow', 'floor', 'nchan'] as const

/** 170 bytes on the wire. */
const EVENT = 162

export const trials: readonly Trial[] = [
  {
    name: 'fan-out 100',
    what: 'broadcast',
    clients: 100,
    rounds: 1_000,
    bytes: EVENT,
    gapMs: 2,
    drivers: [...OURS, ...RIVALS],
  },
  {
    name: 'fan-out 2 000',
    what: 'broadcast',
    clients: 2_000,
    rounds: 100,
    bytes: EVENT,
    gapMs: 20,
    drivers: [...OURS, ...RIVALS],
  },
  {
    name: 'fan-out 10 000',
    what: 'broadcast',
    clients: 10_000,
    rounds: 20,
    bytes: EVENT,
    gapMs: 50,
    drivers: ['tcp-sse', 'floor', 'nchan', 'better-sse', 'http-string'],
  },
  {
    name: 'unicast 1 000 x 50/s',
    what: 'unicast',
    clients: 1_000,
    rounds: 100,
    bytes: 20,
    gapMs: 20,
    drivers: ['tcp-sse', 'tcp-sse-slow', 'http-string', 'better-sse'],
  },
  {
    name: 'one stream, as fast as it goes',
    what: 'stream',
    clients: 1,
    rounds: 100_000,
    bytes: 1_000,
    gapMs: 0,
    drivers: ['tcp-sse', 'tcp-sse-slow', 'http-string', 'better-sse', 'fastify-sse', 'hono'],
  },
  {
    // Each connection is accepted, is a stream, gets one event and is closed by its client.
    name: 'churn 20 000',
    what: 'churn',
    clients: 20_000,
    rounds: 1,
    bytes: EVENT,
    gapMs: 0,
    drivers: ['tcp-sse', 'http-string', 'better-sse'],
  },
  {
    name: 'idle memory 10 000',
    what: 'memory',
    clients: 10_000,
    rounds: 0,
    bytes: 0,
    gapMs: 0,
    drivers: ['tcp-sse', 'http-string', 'better-sse'],
  },
  {
    name: 'idle CPU 10 000',
    what: 'idle',
    clients: 10_000,
    rounds: 0,
    bytes: 0,
    // Twice the longest time between two samples of a quiet connection.
    gapMs: 41_000,
    drivers: ['tcp-sse', 'tcp-sse-no-heartbeat', 'http-string'],
  },
]
