// A listener that notes what a feed tells it, and waits for what is to come.

import type { Entry, Feed, FeedListener, FeedState, Hub, Keep, Position } from '../hub/hub.js'
import { callAfter } from '../internal/scheduling.js'

/** The longest that the suite waits for anything, ms. */
export const PATIENCE = 15_000

/** What a feed has said, in order. */
export class FeedRecorder implements FeedListener {
  readonly entries: Entry[] = []
  readonly gaps: { after: Position; next: Position; before: number }[] = []
  readonly states: FeedState[] = []
  startedAt: Position | undefined
  /** Calls that break the contract's rules. */
  readonly faults: string[] = []
  /** Set by a test that wants the feed to pause. */
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

  /** Settles when the condition holds. */
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
        reject(new Error(`Waited ${PATIENCE} ms in vain for ${what}; so far ${seen}.`))
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

/** A feed that is open and has started. */
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
