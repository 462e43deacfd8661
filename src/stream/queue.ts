// The events that a client cannot accept yet, and the overflow policy. It uses no clock and no socket.

import { Deferred } from '../internal/deferred.js'
import type { EncodedEvent } from '../sse/encode.js'
import type { Confirmation, DeliveryOutcome } from './delivery-log.js'

/**
 * What happens to an event that does not fit into the queue:
 * - `close`: the stream is closed with reason `overflow`.
 * - `drop-oldest`: the oldest events are dropped.
 * - `drop-newest`: the new event is dropped.
 * - `coalesce`: waiting events are dropped if a newer event has the same `key`. If that does not free enough space, the
 *   stream is closed as with `close`.
 */
export type OverflowPolicy = 'close' | 'drop-oldest' | 'drop-newest' | 'coalesce'

/** How much may wait, and the policy beyond it. */
export interface QueueLimits {
  readonly maxBufferedBytes: number
  readonly maxBufferedEvents: number
  readonly onOverflow: OverflowPolicy
}

/** What the overflow policy has dropped. */
export interface Dropped {
  /** The number of whole events. */
  readonly events: number
  /** Their bytes. */
  readonly bytes: number
}

/** The result of a push. With `overflow`, the event was not added, and the caller decides. */
export type QueueResult = 'queued' | 'dropped' | 'overflow'

/** A waiting event. */
export interface Waiting {
  readonly event: EncodedEvent
  /** Settled with the outcome of the event. */
  confirmation: Confirmation | undefined
}

interface Node extends Waiting {
  /** The number of events that the queue had accepted before. */
  readonly number: number
  previous: Node | undefined
  next: Node | undefined
}

/** The waiting events of one client, whole ones only. Every operation takes constant time for each event moved. */
export class EventQueue {
  readonly limits: QueueLimits
  #first: Node | undefined
  #last: Node | undefined
  #newestOfKey: Map<string, Node> | undefined
  /** Events in the queue whose key a newer one has, in the order in which they were superseded. */
  #superseded: Set<Node> | undefined
  bytes = 0
  length = 0
  /** The number of events that the queue has ever accepted. */
  taken = 0
  droppedEvents = 0
  droppedBytes = 0
  /** The size of the last event that did not fit. */
  refused = 0

  constructor(limits: QueueLimits) {
    this.limits = limits
  }

  /** Adds an event, or returns why not. Settles the confirmations of dropped events. */
  push(event: EncodedEvent, confirmation?: Confirmation): QueueResult {
    const size = event.bytes.length
    const { onOverflow } = this.limits
    if (onOverflow === 'coalesce' && event.key !== undefined) this.#supersede(event.key)
    if (!this.#fits(size)) this.#makeRoom(size)
    if (!this.#fits(size)) {
      this.refused = size
      if (onOverflow === 'close' || onOverflow === 'coalesce') return 'overflow'
      this.#countDropped(event, confirmation)
      return 'dropped'
    }
    this.#append({
      event,
      confirmation,
      number: this.taken++,
      previous: this.#last,
      next: undefined,
    })
    return 'queued'
  }

  /** Whether an event waits that was added when at most `taken` events had been accepted. */
  holdsOlderThan(taken: number): boolean {
    return this.#first !== undefined && this.#first.number < taken
  }

  /** Removes and returns the oldest event. */
  shift(): Waiting | undefined {
    const node = this.#first
    if (node !== undefined) this.#remove(node)
    return node
  }

  /** The events, oldest first, without removing them. */
  *events(): Generator<EncodedEvent> {
    for (let node = this.#first; node !== undefined; node = node.next) yield node.event
  }

  /** The confirmation of the newest event with this id, created if necessary. */
  confirmationOf(id: string): Confirmation | undefined {
    for (let node = this.#last; node !== undefined; node = node.previous) {
      if (node.event.id !== id) continue
      node.confirmation ??= new Deferred()
      return node.confirmation
    }
    return undefined
  }

  /** Settles all confirmations. */
  settleConfirmations(outcome: DeliveryOutcome): void {
    for (let node = this.#first; node !== undefined; node = node.next)
      node.confirmation?.resolve(outcome)
  }

  #makeRoom(size: number): void {
    const { onOverflow, maxBufferedBytes } = this.limits
    if (size > maxBufferedBytes) return
    if (onOverflow === 'drop-oldest') {
      while (!this.#fits(size)) this.#drop(this.#first as Node)
    } else if (onOverflow === 'coalesce') {
      for (const node of this.#superseded ?? []) {
        this.#drop(node)
        if (this.#fits(size)) return
      }
    }
  }

  #supersede(key: string): void {
    const older = this.#newestOfKey?.get(key)
    if (older === undefined) return
    this.#superseded ??= new Set()
    this.#superseded.add(older)
  }

  /** Whether an event fits. If nothing waits, it fits regardless of its size. */
  #fits(size: number): boolean {
    if (this.length === 0) return true
    const { maxBufferedBytes, maxBufferedEvents } = this.limits
    return this.bytes + size <= maxBufferedBytes && this.length < maxBufferedEvents
  }

  #append(node: Node): void {
    const { key, bytes } = node.event
    if (this.#last === undefined) this.#first = node
    else this.#last.next = node
    this.#last = node
    this.bytes += bytes.length
    this.length += 1
    if (key === undefined || this.limits.onOverflow !== 'coalesce') return
    this.#newestOfKey ??= new Map()
    this.#newestOfKey.set(key, node)
  }

  #drop(node: Node): void {
    this.#remove(node)
    this.#countDropped(node.event, node.confirmation)
  }

  #countDropped({ isComment, bytes }: EncodedEvent, confirmation: Confirmation | undefined): void {
    if (!isComment) {
      this.droppedEvents += 1
      this.droppedBytes += bytes.length
    }
    confirmation?.resolve('dropped')
  }

  #remove(node: Node): void {
    const { previous, next, event } = node
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    // Unlink the node, so that it does not keep its neighbors in memory.
    node.previous = undefined
    node.next = undefined
    this.bytes -= event.bytes.length
    this.length -= 1
    this.#superseded?.delete(node)
    if (event.key !== undefined && this.#newestOfKey?.get(event.key) === node) {
      this.#newestOfKey.delete(event.key)
    }
  }
}
