// The claims: phases x paths x D x who serves.
import { capabilities } from '../../src/index.js'
import type { Shape } from '../support/shape.js'
import type { Claim } from './claim.js'

/** How much is tried: CI's few minutes, or all that is claimed in docs/liveness.md. */
export type Extent = 'short' | 'full'

type Part = Omit<Claim, 'detectWithin' | 'by' | 'shape' | 'count' | 'end'> & Partial<Claim>

const steady = { bytes: 200, everyMs: 250 }
const plenty = { bytes: 2_000, everyMs: 50 }
const SIXTEEN_KB_A_SECOND = { bytes: 4_096, everyMs: 250 }
const BURSTS = { bytes: 65_536, everyMs: 3_000 }
const TWO_KB_A_SECOND = { bytes: 2_048, everyMs: 1_000 }

const COUNT = { phase: 20, path: 6 } as const

/** What the clients can be doing on a path without faults. */
function phases(extent: Extent): Part[] {
  const hold = extent === 'short' ? 15_000 : 60_000
  const shut = extent === 'short' ? [0, 10, 60] : [0, 10, 60, 300]
  const reads = (phase: string, habit: Claim['habit']): Part => {
    return { phase, habit, traffic: plenty, hold, count: 6 }
  }
  return [
    { phase: 'idle', habit: 'all', hold: 3_000 },
    { phase: 'busy', habit: 'all', traffic: steady, hold: 3_000 },
    {
      ...{ phase: 'busy after a burst', habit: 'all', hold: 3_000, burst: 300_000, count: 8 },
      ...{ traffic: { bytes: 100, everyMs: 80 }, shape: { delay: 50 } },
    },
    ...shut.map((seconds): Part => {
      const phase = `window shut for ${seconds} s`
      return { phase, habit: 'never', traffic: plenty, shut: true, hold: seconds * 1_000 }
    }),
    reads('reads 16 KB/s', SIXTEEN_KB_A_SECOND),
    reads('reads 64 KB each 3 s', BURSTS),
    reads('reads 2 KB/s', TWO_KB_A_SECOND),
    reads('window shut and open in turns', 'alternating'),
    ...(['vanish', 'stay', 'outage'] as const).map((end): Part => {
      const traffic = { bytes: 1_000, everyMs: 150 }
      return { phase: 'window retracted', habit: 'shrunk', traffic, hold: 30_000, end, count: 6 }
    }),
    { phase: 'request body unread', habit: 'all', body: 300_000, hold: 3_000 },
    ...(['stopped', 'blocked'] as const).flatMap((halt): Part[] => [
      { phase: 'idle', habit: 'all', hold: 3_000, halt, count: 6 },
      { phase: 'busy', habit: 'all', traffic: steady, hold: 3_000, halt, count: 6 },
      { ...reads('reads 16 KB/s', SIXTEEN_KB_A_SECOND), hold: 3_000, halt },
    ]),
  ]
}

/** What depends on D by more than its length: where a phase begins and ends is a matter of the plan. */
const PLANNED: readonly Part[] = [
  { phase: 'event before keepalive', habit: 'all', hold: 2_000, lastEvent: true },
  {
    ...{ phase: 'event before keepalive, window once full', habit: 'all', hold: 5_000 },
    ...{ first: 300_000, lastEvent: true },
  },
  { phase: 'idle', habit: 'all', hold: 9_000, end: 'outage' },
  { phase: 'busy', habit: 'all', traffic: steady, hold: 9_000, end: 'outage' },
  {
    ...{ phase: 'window shut for 5 s', habit: 'never', traffic: plenty, shut: true },
    ...{ hold: 5_000, end: 'outage', count: 6 },
  },
]

/** The paths on which clients are idle and busy. */
export function paths(extent: Extent): Shape[] {
  const delays = extent === 'short' ? [300, 1_500] : [50, 300, 700, 1_500]
  const losses = extent === 'short' ? [5] : [1, 5, 20]
  return [
    ...delays.map((delay) => ({ delay })),
    ...losses.map((loss) => ({ delay: 50, loss })),
    { delay: 50, reorder: 25 },
  ]
}

/** A link that all clients of a claim share, and fill: two seconds of queue. */
const NARROW: Shape = { delay: 20, rate: 256_000, queue: 64_000 }

function onPaths(extent: Extent): Part[] {
  const hold = extent === 'short' ? 20_000 : 60_000
  const part = { habit: 'all', hold, count: COUNT.path } as const
  return [
    ...paths(extent).flatMap((shape): Part[] => [
      { ...part, phase: 'idle', shape },
      { ...part, phase: 'busy', traffic: steady, shape },
    ]),
    // Busy at 20 % is a limit in docs/liveness.md: the kernel's pauses leave room for too few questions.
    ...(extent === 'short' ? [{ ...part, phase: 'idle', shape: { delay: 50, loss: 20 } }] : []),
    { ...part, phase: 'floods the link', traffic: { bytes: 4_000, everyMs: 50 }, shape: NARROW },
  ]
}

/**
 * What a guard of a port promises (docs/outside.md). Without TCP_RTO_MAX_MS, the time between two timeouts doubles: with
 * losses everywhere, and behind a shut window on kernels that do not have the option.
 */
function promisedFromOutside(part: Part): Part[] {
  const { loss, queue } = part.shape ?? {}
  const isBusy = part.traffic !== undefined
  if (part.halt !== undefined || (isBusy && (loss ?? queue) !== undefined)) return []
  const lives = part.habit !== 'all' && !capabilities().retransmitMax
  return [lives && part.end !== 'outage' ? { ...part, end: 'stay' } : part]
}

/** All claims of an extent. */
export function claimsOf(extent: Extent): Claim[] {
  const all = [...PLANNED, ...phases(extent), ...onPaths(extent)]
  const parts: [number, readonly Part[]][] = [
    [6_000, all],
    [30_000, extent === 'short' ? PLANNED : all],
  ]
  return parts.flatMap(([detectWithin, parts]) =>
    (['stream', 'guard', 'port'] as const).flatMap((by) =>
      (by === 'port' ? parts.flatMap(promisedFromOutside) : parts).map((part): Claim => {
        return { detectWithin, by, shape: {}, count: COUNT.phase, end: 'vanish', ...part }
      }),
    ),
  )
}

/** What an emulated machine tries in CI: one claim of each kind, or it would be late for all of them. */
export function isForEmulation({ phase, end, by, detectWithin, shape, halt }: Claim): boolean {
  if (detectWithin !== 6_000 || halt !== undefined) return false
  if (by === 'port' && phase === 'window shut for 10 s') return true
  if (by !== 'stream') return end === 'vanish' && phase === 'idle' && shape.delay === undefined
  if (shape.delay !== undefined) return phase === 'busy' && shape.delay === 300
  const phases = end === 'vanish' ? ['idle', 'busy', 'window shut for 10 s'] : ['idle']
  return end !== 'stay' && phases.includes(phase)
}

/** 150 clients that live on for some minutes, whatever is done to them: nobody may be closed. */
export function livingClaims(minutes: number): Claim[] {
  const hold = minutes * 60_000
  const shapes: Shape[] = [
    {},
    { delay: 300 },
    { delay: 700, loss: 1 },
    { delay: 1_500 },
    { delay: 50, loss: 5 },
    { delay: 100, loss: 20 },
    { delay: 50, reorder: 25 },
    NARROW,
  ]
  const doing: Part[] = [
    { phase: 'idle', habit: 'all', hold },
    { phase: 'busy', habit: 'all', traffic: steady, hold },
    { phase: 'reads 16 KB/s', habit: SIXTEEN_KB_A_SECOND, traffic: plenty, hold },
    { phase: 'window shut and open in turns', habit: 'alternating', traffic: plenty, hold },
  ]
  const onShapes = shapes.flatMap((shape) => doing.map((part) => ({ ...part, shape })))
  const local: Part[] = [
    { phase: 'window shut', habit: 'never', traffic: plenty, hold, count: 6 },
    { phase: 'reads 64 KB each 3 s', habit: BURSTS, traffic: plenty, hold, count: 3 },
    { phase: 'reads 2 KB/s', habit: TWO_KB_A_SECOND, traffic: plenty, hold, count: 3 },
    {
      ...{ phase: 'window retracted', habit: 'shrunk', hold, count: 6 },
      traffic: { bytes: 1_000, everyMs: 150 },
    },
  ]
  return (['stream', 'guard', 'port'] as const).flatMap((by) =>
    [...onShapes, ...local].map((part): Claim => {
      const base = { detectWithin: 6_000, by, shape: {}, count: 1, end: 'stay' } as const
      return { ...base, ...part }
    }),
  )
}
