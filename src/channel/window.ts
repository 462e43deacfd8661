// The last events of a hub's log that this process has delivered: a channel's history, and the
// position of its cursor.
import type { Position } from '../hub/hub.js'
import type { EncodedEvent } from '../sse/encode.js'
import type { History, HistoryReplay } from './history.js'
import type { IdTag } from './id-tag.js'

/** Where a position is, relative to the window. `elsewhere`: it is of another era. */
export type Place = 'within' | 'behind' | 'ahead' | 'elsewhere'

interface Kept {
  readonly event: EncodedEvent
  readonly position: Position
}

/** How much the window holds. */
export interface WindowLimits {
  readonly maxEvents: number
  readonly maxBytes: number
}

/**
 * A contiguous range of events. The base is the position before the first of them. The window
 * serves clients that reconnect without a request to the engine.
 */
export class Window implements History {
  readonly #tag: IdTag
  readonly #compare: (a: Position, b: Position) => number
  readonly #limits: WindowLimits
  #base: Position
  #kept: (Kept | undefined)[] = []
  #head = 0
  /** The number of the first event. */
  #first = 0
  #bytes = 0
  /** Numbers by id. The base has the number before the first. */
  readonly #numbers = new Map<string, number>()

  constructor(
    base: Position,
    tag: IdTag,
    compare: (a: Position, b: Position) => number,
    limits: WindowLimits,
  ) {
    this.#base = base
    this.#tag = tag
    this.#compare = compare
    this.#limits = limits
  }

  /** The position of the last event that was delivered: the cursor. */
  get top(): Position {
    return this.#kept.at(-1)?.position ?? this.#base
  }

  get #size(): number {
    return this.#kept.length - this.#head
  }

  append(event: EncodedEvent): void {
    // An event with nothing but an id is not an entry.
    if (event.isComment) return
    const id = event.id as string
    this.#numbers.set(id, this.#first + this.#size)
    this.#kept.push({ event, position: this.#tag.positionOf(id) as Position })
    this.#bytes += event.bytes.length
    const { maxEvents, maxBytes } = this.#limits
    while (this.#size > maxEvents || (this.#bytes > maxBytes && this.#size > 0)) {
      this.#forgetOldest()
    }
  }

  since(id: string): HistoryReplay {
    const number =
      this.#numbers.get(id) ?? (id === this.#tag.idOf(this.#base) ? this.#first - 1 : undefined)
    if (number === undefined) return { outcome: 'unknown', events: [] }
    const kept = this.#kept.slice(this.#head + number + 1 - this.#first) as Kept[]
    return { outcome: 'complete', events: kept.map(({ event }) => event) }
  }

  /** Whether a position is that of an event in the window, or the base. */
  knows(position: Position): boolean {
    return position === this.#base || this.#numbers.has(this.#tag.idOf(position))
  }

  /**
   * Whether a string is a position, of any era. The engine need not be asked about other strings.
   */
  isPosition(position: Position): boolean {
    return this.#compare(position, position) === 0
  }

  placeOf(position: Position): Place {
    const fromBase = this.#compare(position, this.#base)
    const fromTop = this.#compare(position, this.top)
    if (Number.isNaN(fromBase) || Number.isNaN(fromTop)) return 'elsewhere'
    if (fromTop > 0) return 'ahead'
    return fromBase < 0 ? 'behind' : 'within'
  }

  /** The latest of the positions that are within the window. */
  latest(positions: readonly (Position | undefined)[]): Position | undefined {
    let latest: Position | undefined
    for (const each of positions) {
      if (each === undefined || this.placeOf(each) !== 'within') continue
      if (latest === undefined || this.#compare(each, latest) > 0) latest = each
    }
    return latest
  }

  /** The id of the last event at or before a position that is within the window. */
  idAtOrBefore(position: Position): string {
    let low = this.#head - 1
    let high = this.#kept.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      const { position: there } = this.#kept[middle] as Kept
      if (this.#compare(there, position) <= 0) low = middle
      else high = middle - 1
    }
    return this.#tag.idOf(this.#kept[low]?.position ?? this.#base)
  }

  /**
   * Starts again, empty, with another base, because the next events do not follow the present ones.
   */
  restart(base: Position): void {
    this.#first += this.#size
    this.#base = base
    this.#kept = []
    this.#head = 0
    this.#bytes = 0
    this.#numbers.clear()
  }

  #forgetOldest(): void {
    const { event, position } = this.#kept[this.#head] as Kept
    this.#numbers.delete(event.id as string)
    this.#base = position
    this.#bytes -= event.bytes.length
    this.#kept[this.#head] = undefined
    this.#head += 1
    this.#first += 1
    if (this.#head * 2 <= this.#kept.length) return
    this.#kept = this.#kept.slice(this.#head)
    this.#head = 0
  }
}
