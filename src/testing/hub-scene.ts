// What the contract's cases are given, and what they are made of.
import type { Hub, Keep } from '../hub/hub.js'
import type { OpenFeed } from './feed-recorder.js'

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
