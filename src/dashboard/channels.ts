// Channels with a hub: the counters of the process, and the last troubles.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { ChannelGap, ChannelStateMessage } from '../channel/hub-options.js'
import { wallClockNow } from '../internal/scheduling.js'
import { type HubMetrics, hubMetrics } from '../observability/metrics.js'
import { shortened } from './text.js'

/** How many troubles are remembered. */
const KEPT = 20

/** A channel that went down, or a gap that it has found. */
export interface ChannelTrouble {
  /** The channel to which it happened last. */
  readonly channel: string
  /** To how many it happened in a row, from the same cause. An engine that is away affects all channels. */
  readonly count: number
  readonly what: 'down' | 'gap'
  /** Why the channel is down, or between which ids the gap is. */
  readonly cause: string
  /** Milliseconds, as of `Date.now()`. */
  readonly at: number
}

/** What the page gets about channels with a hub. */
export interface ChannelsSample extends HubMetrics {
  /** The last troubles, oldest first. */
  readonly troubles: readonly ChannelTrouble[]
}

export class Channels {
  readonly #troubles: ChannelTrouble[] = []

  constructor() {
    subscribe('tcp-sse:channel:state', this.#onState)
    subscribe('tcp-sse:channel:gap', this.#onGap)
  }

  /** `undefined` while no channel with a hub is open and no trouble is remembered. */
  sample(): ChannelsSample | undefined {
    const counted = hubMetrics()
    const open = Object.values(counted.channels).some((count) => count > 0)
    return open || this.#troubles.length > 0 ? { ...counted, troubles: this.#troubles } : undefined
  }

  close(): void {
    unsubscribe('tcp-sse:channel:state', this.#onState)
    unsubscribe('tcp-sse:channel:gap', this.#onGap)
    this.#troubles.length = 0
  }

  readonly #onState = (message: unknown): void => {
    const { name, state, cause } = message as ChannelStateMessage
    if (state === 'down') this.#note(name, state, cause?.message ?? '')
  }

  readonly #onGap = (message: unknown): void => {
    const { name, after, next } = message as ChannelGap
    this.#note(name, 'gap', `after ${after}, continues after ${next}`)
  }

  #note(name: string, what: ChannelTrouble['what'], text: string): void {
    const last = this.#troubles.at(-1)
    const cause = shortened(text)
    const isSame = last?.what === what && last.cause === cause
    if (isSame) this.#troubles.pop()
    const count = isSame ? last.count + 1 : 1
    this.#troubles.push({ channel: shortened(name), count, what, cause, at: wallClockNow() })
    if (this.#troubles.length > KEPT) this.#troubles.shift()
  }
}
