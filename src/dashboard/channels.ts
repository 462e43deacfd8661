// What channels with a hub do: the counters of the process, and how the state of channels has changed lately.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { ChannelGap, ChannelStateMessage } from '../channel/hub-options.js'
import { wallClockNow } from '../internal/scheduling.js'
import { type HubMetrics, hubMetrics } from '../observability/metrics.js'
import { shortened } from './text.js'

/** How many changes are remembered. */
const KEPT = 20

/** A new state of a channel, or a gap that it has found. */
export interface ChannelChange {
  readonly channel: string
  readonly state: ChannelStateMessage['state'] | 'gap'
  /** Why the channel is down, or which ids the gap is between. */
  readonly cause: string
  /** Milliseconds, as of `Date.now()`. */
  readonly at: number
}

/** What the page gets about channels with a hub. */
export interface ChannelsSample extends HubMetrics {
  /** The last changes, oldest first. */
  readonly changes: readonly ChannelChange[]
}

export class Channels {
  readonly #changes: ChannelChange[] = []

  constructor() {
    subscribe('tcp-sse:channel:state', this.#onState)
    subscribe('tcp-sse:channel:gap', this.#onGap)
  }

  /** `undefined` if the process has had no channel with a hub. */
  sample(): ChannelsSample | undefined {
    const counted = hubMetrics()
    const open = Object.values(counted.channels).some((count) => count > 0)
    return open || this.#changes.length > 0 ? { ...counted, changes: this.#changes } : undefined
  }

  close(): void {
    unsubscribe('tcp-sse:channel:state', this.#onState)
    unsubscribe('tcp-sse:channel:gap', this.#onGap)
    this.#changes.length = 0
  }

  readonly #onState = (message: unknown): void => {
    const { name, state, cause } = message as ChannelStateMessage
    this.#note(name, state, cause?.message ?? '')
  }

  readonly #onGap = (message: unknown): void => {
    const { name, after, next } = message as ChannelGap
    this.#note(name, 'gap', `after ${after}, continues after ${next}`)
  }

  #note(channel: string, state: ChannelChange['state'], cause: string): void {
    const change = { channel: shortened(channel), state, cause: shortened(cause) }
    this.#changes.push({ ...change, at: wallClockNow() })
    if (this.#changes.length > KEPT) this.#changes.shift()
  }
}
