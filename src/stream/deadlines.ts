// What a stream does by time: heartbeats on a quiet one, an end for a client that takes nothing.
import { isUnanswered, type Observation } from '../liveness/verdict.js'
import { encodeComment } from '../sse/encode.js'
import type { StreamSettings } from './options.js'
import type { Outlet } from './outlet.js'
import type { Sender } from './sender.js'

const HEARTBEAT = encodeComment('').bytes

/** What is known of the connection at a look. */
export interface StreamLook {
  readonly now: number
  /** Milliseconds for which bytes have waited on the connection and none was acknowledged. */
  readonly stalledFor: number
  readonly observation: Observation | undefined
}

/** One stream's deadlines, compared on the monitor's tick: no stream has a timer of its own. */
export class Deadlines {
  readonly #outlet: Outlet
  readonly #sender: Sender
  readonly #settings: StreamSettings
  readonly #openedAt: number
  #lastTraffic: number

  constructor(outlet: Outlet, sender: Sender, settings: StreamSettings, now: number) {
    this.#outlet = outlet
    this.#sender = sender
    this.#settings = settings
    this.#openedAt = now
    this.#lastTraffic = now
  }

  /**
   * Does what is due.
   *
   * @param onStalled - called when the client is to be given up, with the ms for which it has taken nothing
   * @returns the time by which to check again, or `Infinity`
   */
  check(look: StreamLook, onStalled: (stalledFor: number) => void): number {
    return Math.min(this.#discard(look.now), this.#checkStall(look, onStalled))
  }

  /** The handler has had the time to begin with its request's body, and what hides the FIN is gone before D is over. */
  #discard(now: number): number {
    const { plan } = this.#settings
    // A stream of several on a connection can have to wait while the connection is quiet.
    const next = this.#outlet.multiplexed ? now + plan.pace : Number.POSITIVE_INFINITY
    const due = this.#openedAt + plan.detectWithin / 2
    if (now < due) return Math.min(due, next)
    this.#outlet.discardUnread()
    return next
  }

  #checkStall(look: StreamLook, onStalled: (stalledFor: number) => void): number {
    const { plan, stallTimeout } = this.#settings
    const stalledFor = this.#outlet.stalledFor(look.now, look.stalledFor)
    if (stallTimeout === false || stalledFor === 0) return this.#heartbeat(look.now)
    // While nothing is answered it is not about reading: the monitor decides.
    const answers = look.observation === undefined || !isUnanswered(look.observation)
    if (answers && stalledFor >= stallTimeout) {
      onStalled(stalledFor)
      return Number.POSITIVE_INFINITY
    }
    const left = Math.max(0, stallTimeout - stalledFor)
    return Math.min(this.#heartbeat(look.now), look.now + Math.min(plan.urgentPace, left))
  }

  /** Skipped when there was traffic, paused while the client is behind. */
  #heartbeat(now: number): number {
    if (this.#sender.hasWritten()) this.#lastTraffic = now
    const { heartbeat } = this.#settings.plan
    if (heartbeat === false || !this.#sender.hasRoom) return Number.POSITIVE_INFINITY
    if (now - this.#lastTraffic >= heartbeat) {
      this.#sender.write(HEARTBEAT)
      this.#lastTraffic = now
    }
    return this.#lastTraffic + heartbeat
  }
}
