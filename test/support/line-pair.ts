// Both ends of a line between a primary and a worker, in this process: like IPC, in order and later.
import type { Line } from '../../src/hub/cluster/messages.js'

export interface TestLine extends Line {
  /** The other end is gone. */
  break(): void
  /** While it is held nothing arrives at this end. */
  hold(): void
  release(): void
}

export function linePair(): [primary: TestLine, worker: TestLine] {
  const primary = new End()
  const worker = new End()
  primary.other = worker
  worker.other = primary
  return [primary, worker]
}

class End implements TestLine {
  other!: End
  #gone = false
  #held: unknown[] | undefined
  readonly #listeners = new Set<(value: unknown) => void>()
  readonly #onGone = new Set<() => void>()

  send(envelope: unknown, failed: (error: Error) => void): void {
    const copy = structuredClone(envelope)
    if (this.#gone) failed(new Error('The line is broken.'))
    else setImmediate(() => this.other.arrive(copy))
  }

  arrive(value: unknown): void {
    if (this.#gone) return
    if (this.#held !== undefined) this.#held.push(value)
    else for (const listener of this.#listeners) listener(value)
  }

  onMessage(listener: (value: unknown) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  onGone(listener: () => void): () => void {
    this.#onGone.add(listener)
    return () => this.#onGone.delete(listener)
  }

  break(): void {
    this.#gone = true
    this.other.#gone = true
    for (const end of [this, this.other]) for (const listener of end.#onGone) listener()
  }

  hold(): void {
    this.#held ??= []
  }

  release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const value of held) this.arrive(value)
  }
}
