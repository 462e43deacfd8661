// The live streams, and how ended ones have ended, from the diagnostics channels. It includes
// streams of another copy of the library in this process (ESM and CommonJS), because diagnostics
// channels are per process.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { systemClock } from '../internal/clock.js'
import { wallClockNow } from '../internal/scheduling.js'
import type { Verdict } from '../liveness/verdict.js'
import type { CloseReason } from '../stream/close-info.js'
import type { EventStream } from '../stream/event-stream.js'
import type { StreamMessages } from '../stream/instrumentation.js'
import { Channels } from './channels.js'
import { shortened } from './text.js'

/** A live stream in the registry. */
export interface Entry {
  readonly id: number
  /** On the monotonic clock. */
  readonly openedAt: number
  /** The last verdict that was published. */
  verdict: Verdict
}

/** A stream that has ended. */
export interface Ended {
  readonly id: number
  readonly label: string
  readonly reason: CloseReason
  /** The last verdict before the end. */
  readonly verdict: Verdict
  readonly message: string
  readonly openedFor: number
  /** Milliseconds, as of `Date.now()`. */
  readonly at: number
  readonly delivered: string | undefined
}

/** Returns a stream's name, for people. */
export type Describe = (stream: EventStream) => string

export class Registry {
  readonly live = new Map<EventStream, Entry>()
  readonly channels = new Channels()
  /** The last streams that ended, oldest first. */
  readonly ended: Ended[] = []
  /** How many streams have ended, by reason. */
  readonly reasons: Partial<Record<CloseReason, number>> = {}
  /** Incremented with each end. */
  generation = 0
  readonly #kept: number
  readonly #describe: Describe
  #next = 1
  #ignoring = false

  constructor(kept: number, describe: Describe) {
    this.#kept = kept
    this.#describe = describe
    subscribe('tcp-sse:stream:open', this.#onOpen)
    subscribe('tcp-sse:stream:verdict', this.#onVerdict)
    subscribe('tcp-sse:stream:close', this.#onClose)
  }

  /** Runs a function whose streams are not listed: the dashboard's own. */
  ignoring<T>(action: () => T): T {
    this.#ignoring = true
    try {
      return action()
    } finally {
      this.#ignoring = false
    }
  }

  /** Finds a live stream by its number. */
  find(id: number): EventStream | undefined {
    for (const [stream, entry] of this.live) if (entry.id === id) return stream
    return undefined
  }

  close(): void {
    unsubscribe('tcp-sse:stream:open', this.#onOpen)
    unsubscribe('tcp-sse:stream:verdict', this.#onVerdict)
    unsubscribe('tcp-sse:stream:close', this.#onClose)
    this.channels.close()
    this.live.clear()
  }

  readonly #onOpen = (message: unknown): void => {
    if (this.#ignoring) return
    const { stream } = message as StreamMessages['tcp-sse:stream:open']
    this.live.set(stream, { id: this.#next++, openedAt: systemClock.now(), verdict: 'alive' })
  }

  readonly #onVerdict = (message: unknown): void => {
    const { stream, verdict } = message as StreamMessages['tcp-sse:stream:verdict']
    const entry = this.live.get(stream)
    if (entry !== undefined) entry.verdict = verdict
  }

  readonly #onClose = (message: unknown): void => {
    const { stream, info } = message as StreamMessages['tcp-sse:stream:close']
    const entry = this.live.get(stream)
    if (entry === undefined) return
    this.live.delete(stream)
    const { reason, error, openedFor, delivered, evidence } = info
    // If the kernel found the death, there is no evidence.
    const dead = reason === 'peer-dead' || reason === 'no-echo'
    const verdict = dead ? 'dead' : (evidence?.verdict ?? entry.verdict)
    this.generation += 1
    this.reasons[reason] = (this.reasons[reason] ?? 0) + 1
    this.ended.push({
      id: entry.id,
      label: this.#describe(stream),
      reason,
      verdict,
      message: shortened(error?.message),
      openedFor,
      at: wallClockNow(),
      delivered: delivered?.id === undefined ? undefined : shortened(delivered.id),
    })
    if (this.ended.length > this.#kept) this.ended.shift()
  }
}
