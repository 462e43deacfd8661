// What a client has not room for, and what becomes of it. No clock, no socket: tested by tables.

import { Deferred } from '../internal/deferred.js'
import type { EncodedEvent } from '../sse/encode.js'
import type { Confirmation, DeliveryOutcome } from './delivery-log.js'

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

/** What the overflow policy has dropped. */
export interface Dropped {
  /** Whole events. */
  readonly events: number
  /** Their bytes. */
  readonly bytes: number
}

/** What became of an event: `overflow` leaves it out and the decision to the caller. */
export type QueueResult = 'queued' | 'dropped' | 'overflow'

/** An event that waits. */
export interface Waiting {
  readonly event: EncodedEvent
  /** Of somebody who wants to know what becomes of it. */
  confirmation: Confirmation | undefined
}

interface Node extends Waiting {
  /** How many had come before it. */
  readonly number: number
  previous: Node | undefined
  next: Node | undefined
}

/** The events that wait for one client, whole ones only. Every operation takes constant time for each event moved. */
export class EventQueue {
  readonly limits: QueueLimits
  #first: Node | undefined
  #last: Node | undefined
  #newestOfKey: Map<string, Node> | undefined
  /** Events in the queue whose key a newer one shares, in the order in which that came about. */
  #superseded: Set<Node> | undefined
  bytes = 0
  length = 0
  /** How many events it has ever taken. */
  taken = 0
  droppedEvents = 0
  droppedBytes = 0
  /** Bytes of the last event that had no room. */
  refused = 0

  constructor(limits: QueueLimits) {
    this.limits = limits
  }

  /** Takes an event, or says why not. What is dropped is told so by its confirmation. */
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

  /** Whether one waits that came when no more than `taken` had been taken. */
  holdsOlderThan(taken: number): boolean {
    return this.#first !== undefined && this.#first.number < taken
  }

  /** The oldest event, taken out. */
  shift(): Waiting | undefined {
    const node = this.#first
    if (node !== undefined) this.#remove(node)
    return node
  }

  /** The events, oldest first; they stay. */
  *events(): Generator<EncodedEvent> {
    for (let node = this.#first; node !== undefined; node = node.next) yield node.event
  }

  /** The confirmation of the newest event with this id, made if there is none. */
  confirmationOf(id: string): Confirmation | undefined {
    for (let node = this.#last; node !== undefined; node = node.previous) {
      if (node.event.id !== id) continue
      node.confirmation ??= new Deferred()
      return node.confirmation
    }
    return undefined
  }

  /** Tells everybody who waits for one of the events. */
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

  /** An event is always taken when nothing waits, whatever its size. */
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
    // A removed event must not keep its neighbours in memory.
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
