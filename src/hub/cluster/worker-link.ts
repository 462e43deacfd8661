// What a worker's feeds need of its hub.
import type { Clock } from '../../internal/clock.js'
import type { FromPrimary, FromWorker } from './messages.js'
import type { Requests } from './requests.js'

/** What its feeds need of a worker's hub. */
export interface WorkerLink {
  readonly requests: Requests
  readonly clock: Clock
  send(message: FromWorker, failed: (error: Error) => void): void
  /** The listener has room for as much again. */
  taken(batch: Extract<FromPrimary, { kind: 'entries' }>): void
  forget(feed: number): void
}
