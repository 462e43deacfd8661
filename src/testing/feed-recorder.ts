// A listener that records the calls of a feed, and waits for expected ones.

import type { Entry, Feed, FeedListener, FeedState, Hub, Keep, Position } from '../hub/hub.js'
import { callAfter } from '../internal/scheduling.js'

/** The longest wait of the suite, in milliseconds. */
export const PATIENCE = 15_000

/** Records the calls of a feed, in order. */
export class FeedRecorder implements FeedListener {
  readonly entries: Entry[] = []
  readonly gaps: { after: Position; next: Position; before: number }[] = []
  readonly states: FeedState[] = []
  startedAt: Position | undefined
  /** Calls that violate the contract. */
  readonly faults: string[] = []
  /** Set by a test that pauses the feed. */
  pause: Promise<void> | undefined
  /** Whether `Hub.open` is running. */
  opening = false
  #closed = false
  readonly #waiting = new Set<() => void>()

  start(position: Position): void {
    if (this.startedAt !== undefined) this.faults.push('started twice')
    if (this.entries.length + this.gaps.length > 0) this.faults.push('started late')
    this.startedAt = position
    this.#tell()
  }

  entry(entry: Entry): void | Promise<void> {
    if (this.startedAt === undefined) this.faults.push('an entry before the start')
    this.entries.push(entry)
    this.#tell()
    return this.pause
  }

  gap(after: Position, next: Position): void {
    this.gaps.push({ after, next, before: this.entries.length })
    this.#tell()
  }

  state(state: FeedState): void {
    this.states.push(state)
    this.#tell()
  }

  get texts(): string[] {
    return this.entries.map(({ text }) => text)
  }

  close(): void {
    this.#closed = true
  }

  /** Settles when the condition is true. */
  until(what: string, condition: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (!condition()) return
        cancel()
        this.#waiting.delete(check)
        resolve()
      }
      const cancel = callAfter(PATIENCE, () => {
        this.#waiting.delete(check)
        const seen = `${this.entries.length} entries, ${this.gaps.length} gaps, ${this.states}`
        reject(new Error(`Waited ${PATIENCE} ms for ${what}. Received so far: ${seen}.`))
      })
      this.#waiting.add(check)
      check()
    })
  }

  #tell(): void {
    if (this.opening) this.faults.push('called from within open')
    if (this.#closed) this.faults.push('called after close')
    for (const check of this.#waiting) check()
  }
}

/** An open feed that has started. */
export interface OpenFeed {
  readonly feed: Feed
  readonly heard: FeedRecorder
}

/** Opens a feed and waits until it is live. */
export async function openFeed(hub: Hub, channel: string, keep: Keep): Promise<OpenFeed> {
  const heard = new FeedRecorder()
  heard.opening = true
  const feed = hub.open(channel, heard, keep)
  heard.opening = false
  await heard.until('the start of a feed', () => heard.startedAt !== undefined)
  await heard.until('a live feed', () => heard.states.at(-1) === 'live')
  return { feed, heard }
}
