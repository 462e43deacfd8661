// Calls a stream back at intervals: the monitor does, or a timer if there is no socket.
import type { Socket } from 'node:net'
import { type Clock, systemClock } from '../internal/clock.js'
import { evidenceWithoutKernel, type PeerEvidence } from '../liveness/evidence.js'
import { processMonitor } from '../liveness/process-monitors.js'
import type { Watch, Watcher } from '../liveness/watch.js'

/** Watches a socket. Without one, at least the deadlines (heartbeats, stalls) are checked. */
export function watchOver(socket: Socket | undefined, watcher: Watcher): Watch {
  if (socket === undefined) return new TimerWatch(systemClock, watcher)
  return processMonitor.watch(socket, watcher)
}

/** Samples at the plan's pace, and sooner if the watcher requests it. It knows nothing about the peer. */
export class TimerWatch implements Watch {
  readonly verdict = 'alive'
  readonly unanswered = false
  readonly shared = false
  readonly saved = []
  readonly #clock: Clock
  readonly #watcher: Watcher
  #cancel: (() => void) | undefined
  #released = false
  #dueAt = 0
  /** The total time for which the event loop was blocked when a sample was due, ms. */
  #blockedFor = 0

  constructor(clock: Clock, watcher: Watcher) {
    this.#clock = clock
    this.#watcher = watcher
    this.#next(watcher.plan.urgentPace)
  }

  requestSample(): void {
    this.#cancel?.()
    this.#next(1)
  }

  silentFor(): undefined {}

  evidence(): PeerEvidence {
    return evidenceWithoutKernel(this.verdict)
  }

  release(): void {
    this.#released = true
    this.#cancel?.()
  }

  #next(after: number): void {
    this.#dueAt = this.#clock.now() + after
    this.#cancel = this.#clock.after(after, () => this.#check())
  }

  #check(): void {
    const now = this.#clock.now()
    this.#blockedFor += Math.max(0, now - this.#dueAt)
    const due = this.#watcher.onSample(now, 0, 'alive', now - this.#blockedFor)
    if (!this.#released) this.#next(Math.max(1, Math.min(due - now, this.#watcher.plan.pace)))
  }
}
