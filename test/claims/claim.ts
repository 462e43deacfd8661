// What is claimed of the promise, as data. The same claims are tried on this machine's kernel and in guests with others.
import { type LivenessPlan, livenessPlan } from '../../src/index.js'
import { portGuardSettings } from '../../src/port-guard/options.js'
import type { Reading } from '../../src/testing/index.js'
import { longestRoundTrip, type Shape } from '../support/shape.js'

/** How a client reads; `alternating`: all for three seconds, nothing for three; `shrunk`: see shrunk-clients.c. */
export type Habit = Reading | 'alternating' | 'shrunk'

/** Some connections, what they do, and what then happens to them. */
export interface Claim {
  /** What the clients are doing, in words. */
  readonly phase: string
  readonly detectWithin: number
  /**
   * Whether their server is made with streams of ours, with `node:http` and a guard, or with `node:http` alone, while
   * another process guards its port.
   */
  readonly by: 'stream' | 'guard' | 'port'
  readonly count: number
  readonly shape: Shape
  readonly habit: Habit
  /** Events that are sent as long as there is room. Without, the connections are idle. */
  readonly traffic?: { readonly bytes: number; readonly everyMs: number } | undefined
  /** Of the request, in bytes; the server does not read it. */
  readonly body?: number | undefined
  /** Milliseconds between the plan's heartbeats, or none. */
  readonly heartbeat?: boolean | undefined
  /** For so many milliseconds they live before anything happens; with a shut window counted since it shut. */
  readonly hold: number
  readonly shut?: boolean | undefined
  /** An event of so many bytes, a second before the end of `hold`. */
  readonly burst?: number | undefined
  /** An event of so many bytes in the beginning, for which a small window once fills up. */
  readonly first?: number | undefined
  /** They vanish right after an ACK, and an event follows just before keepalive would ask. */
  readonly lastEvent?: boolean | undefined
  /** What happens in the end: they are gone without a word, they are cut off for as long as is tolerated, or nothing. */
  readonly end: 'vanish' | 'outage' | 'stay'
  /** The server's process is stopped, or its loop blocked, for 20 s; half of its clients vanish during that time. */
  readonly halt?: 'stopped' | 'blocked' | undefined
}

/** For how long a server is stopped or blocked. */
export const HALT = 20_000

/** Whether the clients have small receive buffers: a rig has one size for all of its clients. */
export const hasSmallWindows = ({ habit, first, halt }: Claim): boolean =>
  first !== undefined || halt !== undefined || (habit !== 'all' && habit !== 'shrunk')

/** How improbable it must be that a living peer's answers were all lost, and the most questions that this may take. */
const CHANCE = 1e-7
const MOST_QUESTIONS = 40

/**
 * Milliseconds within which a vanished client must be closed (docs/liveness.md, "Paths that need more"): D + 1 s, or seven
 * round trips and 2 s where that is longer: three questions, which are a timeout and a doubled timeout apart, and the
 * time that an answer takes. With a queue on the path, two more questions. On a path that loses packets more questions
 * may be needed, a pause apart.
 */
export function boundOf({ detectWithin, shape }: Claim): number {
  const roundTrip = longestRoundTrip(shape)
  const bound = Math.max(detectWithin + 1_000, 7 * roundTrip + 2_000)
  const pause = Math.max(intervalOf(detectWithin), 2 * roundTrip)
  return bound + questionsFor(shape) * pause + (shape.queue === undefined ? 0 : 2 * pause)
}

/** The same where the round trip varies, so that the kernel's timeouts are longer. */
export function boundByTimeout({ shape }: Claim, timeout: number): number {
  return (shape.queue === undefined ? 5 : 13) * timeout + 2_000
}

/** More questions than a path without losses needs: the share of those that are lost one way or the other, doubled. */
function questionsFor({ loss = 0 }: Shape): number {
  if (loss === 0) return 0
  const share = Math.min(0.7, 2 * (1 - (1 - loss / 100) ** 2))
  return Math.min(MOST_QUESTIONS, Math.ceil(Math.log(CHANCE) / Math.log(share)))
}

/** The plan of a claim's connections. */
export function planOf({ by, detectWithin }: Pick<Claim, 'by' | 'detectWithin'>): LivenessPlan {
  if (by !== 'port') return livenessPlan(detectWithin)
  return portGuardSettings({ port: 80, detectWithin }).armedPlan
}

function intervalOf(detectWithin: number): number {
  const { keepAlive } = livenessPlan(detectWithin)
  return keepAlive === false ? 1_000 : keepAlive.interval
}

/**
 * Milliseconds before which nobody may be closed: what could have been an outage that is tolerated. Where packets are
 * delayed or lost by themselves, the outage has begun before the cut.
 */
export function tolerated(claim: Claim): number {
  const untouched = Object.keys(claim.shape).length === 0 && claim.halt === undefined
  return untouched ? planOf(claim).toleratedOutage : 0
}

/** The name of what has happened to a claim's clients. */
export function titleOf({ phase, end, halt }: Claim): string {
  const words = { vanish: '', outage: ', tolerated outage', stay: ', lives' }[end]
  return `${phase}${words}${halt === undefined ? '' : `, server ${halt} for ${HALT / 1000} s`}`
}
