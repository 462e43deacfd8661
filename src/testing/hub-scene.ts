// What the contract's cases work with.
import type { Hub, Keep } from '../hub/hub.js'
import type { OpenFeed } from './feed-recorder.js'

/** Describes an engine to `hubContract`. */
export interface HubContractOptions {
  /** The first part of each title. */
  readonly name: string
  /** Declares a test: `test` of node:test, vitest, … */
  readonly test: (title: string, run: () => Promise<void>) => void
  /**
   * Connects to the engine and returns a hub, as another process would do. All hubs share the same
   * logs. The suite closes them, and uses channel names that are unique to the run.
   */
  readonly openHub: () => Hub | Promise<Hub>
  /**
   * Makes the engine unavailable: it refuses or does not answer. Without this function, the tests
   * of outages are left out.
   */
  readonly interrupt?: (() => void | Promise<void>) | undefined
  /** Makes the engine available again, with all its data. */
  readonly restore?: (() => void | Promise<void>) | undefined
  /**
   * Empties all logs, as `FLUSHALL` or a new primary does. Without this function, the tests of
   * another era are left out.
   */
  readonly forget?: (() => void | Promise<void>) | undefined
}

/** What a case works with. */
export interface Scene {
  /** A name that is unique to the case and the run. */
  readonly channel: string
  /** Opens another hub. It is closed after the case. */
  hub(): Promise<Hub>
  /** Opens a live feed on another hub. */
  open(channel?: string, keep?: Keep): Promise<OpenFeed>
}

/** One duty, and its test. */
export type Case = readonly [title: string, run: (scene: Scene) => Promise<void>]
