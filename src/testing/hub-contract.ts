// The duties of a hub, as tests for any test framework.
import type { Hub } from '../hub/hub.js'

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

/**
 * Declares the contract tests of a hub: order, each entry once, positions, reading by bounds, gaps, absence.
 *
 * @example
 * import { test } from 'node:test'
 * import { type Hub, hubContract } from 'tcp-sse/testing'
 *
 * declare function myHub(): Hub
 * hubContract({ name: 'my engine', test, openHub: myHub })
 */
export function hubContract(options: HubContractOptions): void {
  for (const [title, run] of cases(options)) {
    options.test(`${options.name}: ${title}`, run)
  }
}

type Case = readonly [title: string, run: () => Promise<void>]

function cases({ openHub }: HubContractOptions): Case[] {
  return [
    [
      'closes',
      async () => {
        const hub = await openHub()
        await hub.close()
      },
    ],
  ]
}
