// What a worker's feeds need from its hub.
import type { Clock } from '../../internal/clock.js'
import type { FromPrimary, FromWorker } from './messages.js'
import type { Requests } from './requests.js'

/** What a worker's feeds need from its hub. */
export interface WorkerLink {
  readonly requests: Requests
  readonly clock: Clock
  send(message: FromWorker, failed: (error: Error) => void): void
  /** Confirms a batch, so that the primary can send as much again. */
  taken(batch: Extract<FromPrimary, { kind: 'entries' }>): void
  forget(feed: number): void
}
