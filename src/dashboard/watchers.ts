// The streams of the open pages. While no page is open, nothing runs.
import { createEventStream, type NodeRequest, type NodeResponse } from '../adapters/node.js'
import { callEvery } from '../internal/scheduling.js'
import { encodeEvent } from '../sse/encode.js'
import type { EventStream } from '../stream/event-stream.js'
import type { Describe, Registry } from './registry.js'
import { takeSample } from './sample.js'

/** The options that concern samples. */
export interface SampleSettings {
  readonly interval: number
  readonly maxRows: number
  readonly describe: Describe
  readonly actions: readonly string[]
}

/**
 * The dashboard's own streams. A page that is behind misses samples, and one that vanishes is
 * closed like any client.
 */
const OWN = Object.freeze({ detectWithin: 10_000, onOverflow: 'drop-oldest' } as const)

export class Watchers {
  readonly #registry: Registry
  readonly #settings: SampleSettings
  readonly #streams = new Set<EventStream>()
  #stopTimer: (() => void) | undefined
  #generation = -1
  #closed = false

  constructor(registry: Registry, settings: SampleSettings) {
    this.#registry = registry
    this.#settings = settings
  }

  get size(): number {
    return this.#streams.size
  }

  /** Whether no more pages are accepted. */
  get closed(): boolean {
    return this.#closed
  }

  /** Answers a request with a stream of samples. The first is sent at once. */
  add(req: NodeRequest, res: NodeResponse): void {
    const stream = this.#registry.ignoring(() => createEventStream(req, res, OWN))
    const { interval, actions, maxRows, describe } = this.#settings
    stream.send({ event: 'hello', data: { interval, maxRows, actions } })
    const first = takeSample(this.#registry, maxRows, describe)
    stream.send({ event: 'sample', data: { ...first, ended: this.#registry.ended } })
    this.#streams.add(stream)
    this.#stopTimer ??= callEvery(interval, () => this.#tick())
    void stream.closed.then(() => this.#remove(stream))
  }

  close(): void {
    this.#closed = true
    for (const stream of this.#streams) stream.abort()
    this.#stop()
  }

  #remove(stream: EventStream): void {
    this.#streams.delete(stream)
    if (this.#streams.size === 0) this.#stop()
  }

  #stop(): void {
    this.#stopTimer?.()
    this.#stopTimer = undefined
  }

  #tick(): void {
    const { maxRows, describe } = this.#settings
    const { ended, generation } = this.#registry
    const current = takeSample(this.#registry, maxRows, describe)
    const data = generation === this.#generation ? current : { ...current, ended }
    this.#generation = generation
    // Encoded once for all pages.
    const event = encodeEvent({ event: 'sample', data })
    for (const stream of this.#streams) stream.send(event)
  }
}
