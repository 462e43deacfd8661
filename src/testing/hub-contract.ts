// The duties of a hub, as tests for any test framework.
import { randomUUID } from 'node:crypto'
import type { Hub, Keep } from '../hub/hub.js'
import { type OpenFeed, openFeed } from './feed-recorder.js'
import { absenceCases } from './hub-absence-cases.js'
import { feedCases } from './hub-feed-cases.js'
import { readCases } from './hub-read-cases.js'

/** What `hubContract` needs to know about an engine. */
export interface HubContractOptions {
  /** Stands before each title. */
  readonly name: string
  /** Declares a test: `test` of node:test, vitest, … */
  readonly test: (title: string, run: () => Promise<void>) => void
  /**
   * Connects to the engine: a hub as another process would have it. All share the same logs. The suite closes them; channels have names
   * that no other run has.
   */
  readonly openHub: () => Hub | Promise<Hub>
  /** Takes the engine away, and lets it answer nothing or refuse; without it the tests of absence are left out. */
  readonly interrupt?: (() => void | Promise<void>) | undefined
  /** Brings it back, with all that it had. */
  readonly restore?: (() => void | Promise<void>) | undefined
  /** Empties all logs, as `FLUSHALL` does or a new primary; without it the tests of another era are left out. */
  readonly forget?: (() => void | Promise<void>) | undefined
}

/** What one case works with. */
export interface Scene {
  /** A name that no other case and no other run has. */
  readonly channel: string
  /** A hub of its own; closed when the case is over. */
  hub(): Promise<Hub>
  /** A live feed on a hub of its own. */
  open(channel?: string, keep?: Keep): Promise<OpenFeed>
}

/** A duty, and how it is tried. */
export type Case = readonly [title: string, run: (scene: Scene) => Promise<void>]

/**
 * Declares the contract tests of a hub: order, each entry once, positions, reading by bounds, pauses, absence, another era. A
 * test takes a fraction of a second, and fails after 15 seconds at the latest.
 *
 * @example
 * import { test } from 'node:test'
 * import { type Hub, hubContract } from 'tcp-sse/testing'
 *
 * declare function myHub(): Hub
 * hubContract({ name: 'my engine', test, openHub: myHub })
 */
export function hubContract(options: HubContractOptions): void {
  const { name, test, openHub } = options
  for (const [title, run] of [...feedCases, ...readCases, ...absenceCases(options)]) {
    test(`${name}: ${title}`, () => inScene(openHub, run))
  }
}

async function inScene(
  openHub: HubContractOptions['openHub'],
  run: (scene: Scene) => Promise<void>,
): Promise<void> {
  const hubs: Hub[] = []
  const feeds: OpenFeed[] = []
  const channel = `contract-${randomUUID()}`
  const hub = async (): Promise<Hub> => {
    const made = await openHub()
    hubs.push(made)
    return made
  }
  const open = async (name = channel, keep: Keep = { maxEvents: 1_000 }): Promise<OpenFeed> => {
    const feed = await openFeed(await hub(), name, keep)
    feeds.push(feed)
    return feed
  }
  try {
    await run({ channel, hub, open })
  } finally {
    for (const each of hubs) await each.close()
  }
  const faults = feeds.flatMap(({ heard }) => heard.faults)
  if (faults.length > 0) throw new Error(`The listener was called wrongly: ${faults.join(', ')}.`)
}
