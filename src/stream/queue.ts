// What a client has not room for, and what becomes of it. No clock, no socket: tested by tables.
import type { EncodedEvent } from '../sse/encode.js'

/**
 * What happens to an event for which the queue has no room:
 * - `close`: the stream is closed with reason `overflow`.
 * - `drop-oldest`: the oldest events make room. - `drop-newest`: the new event is dropped.
 * - `coalesce`: older events whose `key` a newer one shares make room; if that is not enough, as `close`.
 */
export type OverflowPolicy = 'close' | 'drop-oldest' | 'drop-newest' | 'coalesce'

/** How much may wait, and what then. */
export interface QueueLimits {
  readonly maxBufferedBytes: number
  readonly maxBufferedEvents: number
  readonly onOverflow: OverflowPolicy
}

/** What became of an event: `overflow` leaves it out and the decision to the caller. */
export type Admission = 'queued' | 'dropped' | 'overflow'

interface Node {
  readonly event: EncodedEvent
  readonly key: string | undefined
  previous: Node | undefined
  next: Node | undefined
  /** Whether it is still in the queue. */
  queued: boolean
}

/** The events that wait for one client, whole ones only. Every operation takes constant time for each event moved. */
export class EventQueue {
  readonly #limits: QueueLimits
  #first: Node | undefined
  #last: Node | undefined
  #newestOfKey: Map<string, Node> | undefined
  /** Events whose key a newer one shares, oldest first. */
  #superseded: Node[] = []
  bytes = 0
  length = 0
  droppedEvents = 0
  droppedBytes = 0

  constructor(limits: QueueLimits) {
    this.#limits = limits
  }

  /** Takes an event, or says why not. */
  push(event: EncodedEvent, key: string | undefined): Admission {
    const size = event.bytes.length
    const { onOverflow } = this.#limits
    const coalesce = onOverflow === 'coalesce'
    const node: Node = { event, key, previous: this.#last, next: undefined, queued: true }
    if (coalesce && key !== undefined) this.#supersede(key)
    if (onOverflow === 'drop-oldest' && this.#canEverFit(size)) {
      while (!this.#fits(size)) this.#drop(this.#first as Node)
    } else if (coalesce) {
      while (!this.#fits(size) && this.#superseded.length > 0) {
        this.#drop(this.#superseded.shift() as Node)
      }
    }
    if (!this.#fits(size)) {
      if (onOverflow === 'close' || coalesce) return 'overflow'
      this.#countDropped(size)
      return 'dropped'
    }
    node.previous = this.#last
    if (this.#last === undefined) this.#first = node
    else this.#last.next = node
    this.#last = node
    this.bytes += size
    this.length += 1
    if (coalesce && key !== undefined) {
      this.#newestOfKey ??= new Map()
      this.#newestOfKey.set(key, node)
    }
    return 'queued'
  }

  /** The oldest event, taken out. */
  shift(): EncodedEvent | undefined {
    const node = this.#first
    if (node === undefined) return undefined
    this.#remove(node)
    return node.event
  }

  /** Everything, taken out, oldest first. */
  *drain(): Generator<EncodedEvent> {
    for (let event = this.shift(); event !== undefined; event = this.shift()) yield event
  }

  #supersede(key: string): void {
    const older = this.#newestOfKey?.get(key)
    if (older?.queued) this.#superseded.push(older)
  }

  #fits(size: number): boolean {
    const { maxBufferedBytes, maxBufferedEvents } = this.#limits
    return this.bytes + size <= maxBufferedBytes && this.length < maxBufferedEvents
  }

  #canEverFit(size: number): boolean {
    return size <= this.#limits.maxBufferedBytes && this.#limits.maxBufferedEvents > 0
  }

  #drop(node: Node): void {
    if (!node.queued) return
    this.#remove(node)
    this.#countDropped(node.event.bytes.length)
  }

  #countDropped(size: number): void {
    this.droppedEvents += 1
    this.droppedBytes += size
  }

  #remove(node: Node): void {
    if (node.previous === undefined) this.#first = node.next
    else node.previous.next = node.next
    if (node.next === undefined) this.#last = node.previous
    else node.next.previous = node.previous
    node.queued = false
    this.bytes -= node.event.bytes.length
    this.length -= 1
    if (node.key !== undefined && this.#newestOfKey?.get(node.key) === node) {
      this.#newestOfKey.delete(node.key)
    }
  }
}
