// The short way of a channel's broadcasts to one stream, past the stream itself.
//
// A broadcast to thousands of clients is paid for in cache lines: of each client as few as can be may be touched. So a
// client that is not behind gets its bytes from the lane, and what the stream wants to know of them it reads up later.
import type { EncodedEvent } from '../../sse/encode.js'

/** How many broadcasts a segment lists. */
export const SEGMENT = 256

/** A part of a channel's list of broadcasts, oldest first: never changed, only added to. */
export class Segment {
  /** Where each event ends, in bytes of HTTP/1.1 chunks from the segment's start. */
  readonly ends = new Float64Array(SEGMENT)
  readonly ids: (string | undefined)[] = []

  get full(): boolean {
    return this.ids.length === SEGMENT
  }

  /** Returns the event's index. */
  add({ bytes, id }: EncodedEvent): number {
    const index = this.ids.length
    const before = index === 0 ? 0 : (this.ends[index - 1] as number)
    this.ends[index] = before + chunked(bytes.length)
    this.ids.push(id)
    return index
  }
}

/** The size of a chunk of HTTP/1.1: its length in hexadecimal and two line ends (RFC 9112, 7.1). */
export function chunked(length: number): number {
  let digits = 1
  while (length >= 16 ** digits) digits += 1
  return length + digits + 4
}

/**
 * What an outlet has that can take broadcasts on the short way. It keeps a run: broadcasts of one segment that it was
 * given one after the other and with nothing between them.
 */
export interface Lane {
  /** `undefined` before the first run, and once something else has come between. */
  segment: Segment | undefined
  /** The indices of those that the stream has not read up yet: from `first` up to `next`. */
  first: number
  next: number
  /** Where the segment starts, in the connection's outgoing bytes. */
  base: number
  /** Bytes of events that went this way, in this run and those before it. */
  laneBytes: number
  /**
   * Sends the event if it goes on with the run and may go at once. If not, nothing has happened. Whoever writes past the
   * outlet's stream, or keeps it from sending, breaks the run.
   */
  cast(event: EncodedEvent, segment: Segment, index: number): boolean
}

/** The event at `index` was the last thing written, and ends at `position`: the lane may go on from there. */
export function follow(lane: Lane, segment: Segment, index: number, position: number): void {
  lane.segment = segment
  lane.first = index + 1
  lane.next = index + 1
  lane.base = position - (segment.ends[index] as number)
}
