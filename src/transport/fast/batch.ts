// Collects what many sockets must send in this tick, and sends it with one native call, past Node's streams.
//
// The caller that adds bytes has checked that nothing else waits on the socket. It flushes the batch before other code
// writes.
import type { Socket } from 'node:net'
import { isolated } from '../../internal/rethrow.js'
import { callAtEndOfTick, inRootContext } from '../../internal/scheduling.js'
import { addon, fdOf, noteActivity } from '../../native/binding.js'
import { LINE_END, MOST_FRAME, putChunkStart, putLineEnd } from '../../sse/chunk.js'
import { grown } from './grown.js'

/** One socket's state in the batch. Its owner keeps it as long as the socket. */
export interface BatchSlot {
  readonly socket: Socket | undefined
  /** Its row in the current batch; -1 if it has none. */
  row: number
  /** Its bytes that wait in the batch. */
  waiting: number
  /** Bytes sent directly during the connection's life: see `countsFor` in binding.ts. */
  direct: number
  /**
   * Called when not everything was sent, once the batch is empty again.
   *
   * @param rest - a copy of what the kernel did not accept
   * @param errno - negative if the kernel accepted nothing; 0 if it accepted a part
   */
  onPartialWrite(rest: Buffer, errno: number): void
}

/** The largest event that the batch accepts, in bytes. Larger ones gain nothing from it. */
export const LARGEST_PIECE = 32 * 1024

const SLAB = 1024 * 1024
/** The size of a piece (offset, length, next) and of a row (descriptor, first piece, result). */
const STRIDE = 3
const NONE = -1

interface PartialWrite {
  readonly slot: BatchSlot
  readonly rest: Buffer
  readonly errno: number
}

const NO_PARTIAL_WRITES: readonly PartialWrite[] = []

/** The frames of one tick. There is one batch per process. */
class Batch {
  readonly #slab = Buffer.allocUnsafeSlow(SLAB)
  #used = 0
  #pieces = new Int32Array(256 * STRIDE)
  #pieceCount = 0
  #rows = new Int32Array(256 * STRIDE)
  /** The last piece of each row. */
  #last = new Int32Array(256)
  /**
   * The slot of each row. The array is emptied but not replaced, because it reaches its size after the first batches.
   */
  readonly #slots: (BatchSlot | undefined)[] = []
  #rowCount = 0
  #scheduled = false
  /** The bytes that were last copied to the slab. An event for many streams is copied once. */
  #copied: Uint8Array | undefined
  #start = 0
  #body = 0
  #end = 0

  /**
   * Adds bytes for a socket. They are sent at the end of the tick or earlier. Call `fits` first.
   *
   * @param chunked - whether to frame them as a chunk of HTTP/1.1 (RFC 9112, 7.1)
   * @returns the number of bytes on the wire
   */
  add(slot: BatchSlot, bytes: Uint8Array, chunked: boolean): number {
    if (bytes !== this.#copied) this.#copy(bytes)
    return this.#take(slot, chunked)
  }

  /**
   * Does the same for text. Call `fits` first, with three bytes for each UTF-16 unit.
   *
   * @returns the number of UTF-8 bytes
   */
  addText(slot: BatchSlot, text: string, chunked: boolean): number {
    const bytes = this.#copyText(text)
    this.#take(slot, chunked)
    return bytes
  }

  /** Whether this many bytes fit. If not, they fit after `flush`, up to `LARGEST_PIECE` x 3. */
  fits(length: number): boolean {
    return this.#used + length + MOST_FRAME <= SLAB
  }

  /** Assigns the bytes that were last copied to a socket. */
  #take(slot: BatchSlot, chunked: boolean): number {
    const offset = chunked ? this.#start : this.#body
    const length = (chunked ? this.#end : this.#end - LINE_END) - offset
    if (slot.row === NONE) this.#open(slot)
    this.#append(slot.row, offset, length)
    slot.waiting += length
    return length
  }

  /** Sends everything now. */
  flush(): void {
    const count = this.#rowCount
    if (count === 0 || addon === undefined) return
    const slots = this.#slots
    const rows = this.#rows
    // Read the descriptors here, for this one call: once a socket is closed, its descriptor may belong to another
    // connection.
    for (let i = 0; i < count; i++) {
      const { socket } = slots[i] as BatchSlot
      rows[i * STRIDE] = socket === undefined ? -1 : fdOf(socket)
      if (socket !== undefined) noteActivity(socket)
    }
    let partial = NO_PARTIAL_WRITES
    try {
      const incomplete = addon.sendMany(this.#slab, this.#pieces, this.#pieceCount, rows, count)
      if (incomplete !== 0) partial = this.#collectPartialWrites()
    } finally {
      this.#clear()
    }
    if (partial.length > 0) inRootContext(() => tellOwners(partial))
  }

  #clear(): void {
    const rows = this.#rows
    for (let row = 0; row < this.#rowCount; row++) {
      const slot = this.#slots[row] as BatchSlot
      slot.direct += Math.max(0, rows[row * STRIDE + 2] as number)
      slot.row = NONE
      slot.waiting = 0
      this.#slots[row] = undefined
    }
    this.#rowCount = 0
    this.#pieceCount = 0
    this.#used = 0
    this.#copied = undefined
  }

  #open(slot: BatchSlot): void {
    const row = this.#rowCount
    if ((row + 1) * STRIDE > this.#rows.length) {
      this.#rows = grown(this.#rows)
      this.#last = grown(this.#last)
    }
    slot.row = row
    this.#slots[row] = slot
    this.#rows[row * STRIDE + 1] = NONE
    this.#rows[row * STRIDE + 2] = 0
    this.#rowCount = row + 1
    if (this.#scheduled) return
    this.#scheduled = true
    callAtEndOfTick(flushAtEndOfTick, this)
  }

  /** @internal */
  flushScheduled(): void {
    this.#scheduled = false
    this.flush()
  }

  #append(row: number, offset: number, length: number): void {
    const piece = this.#pieceCount
    if ((piece + 1) * STRIDE > this.#pieces.length) this.#pieces = grown(this.#pieces)
    const at = piece * STRIDE
    this.#pieces[at] = offset
    this.#pieces[at + 1] = length
    this.#pieces[at + 2] = NONE
    if (this.#rows[row * STRIDE + 1] === NONE) this.#rows[row * STRIDE + 1] = piece
    else this.#pieces[(this.#last[row] as number) * STRIDE + 2] = piece
    this.#last[row] = piece
    this.#pieceCount = piece + 1
  }

  /** Copies the bytes to the slab, framed as a chunk. */
  #copy(bytes: Uint8Array): void {
    this.#startChunk(bytes.length)
    this.#slab.set(bytes, this.#body)
    this.#endChunk(bytes.length)
    this.#copied = bytes
  }

  /** Copies text to the slab. Most texts are ASCII, whose length is known before they are written. */
  #copyText(text: string): number {
    this.#startChunk(text.length)
    const bytes = putText(this.#slab, this.#body, text)
    const digits = this.#body - this.#start - LINE_END
    if (bytes >= 16 ** digits) {
      const body = this.#body
      this.#startChunk(bytes)
      this.#slab.copyWithin(this.#body, body, body + bytes)
    } else if (bytes !== text.length) {
      this.#startChunk(bytes)
    }
    this.#endChunk(bytes)
    this.#copied = undefined
    return bytes
  }

  /** Writes the size of a chunk before its bytes. */
  #startChunk(length: number): void {
    this.#start = this.#used
    this.#body = putChunkStart(this.#slab, this.#start, length)
  }

  #endChunk(length: number): void {
    this.#end = putLineEnd(this.#slab, this.#body + length)
    this.#used = this.#end
  }

  #collectPartialWrites(): PartialWrite[] {
    const partial: PartialWrite[] = []
    for (let row = 0; row < this.#rowCount; row++) {
      const slot = this.#slots[row] as BatchSlot
      const result = this.#rows[row * STRIDE + 2] as number
      if (result === slot.waiting) continue
      const rest = this.#restOf(row, Math.max(0, result))
      partial.push({ slot, rest, errno: Math.min(0, result) })
    }
    return partial
  }

  #restOf(row: number, sent: number): Buffer {
    const parts: Buffer[] = []
    let skip = sent
    let piece = this.#rows[row * STRIDE + 1] as number
    while (piece !== NONE) {
      const [offset = 0, length = 0, next = NONE] = this.#pieces.subarray(piece * STRIDE)
      if (skip < length) parts.push(this.#slab.subarray(offset + skip, offset + length))
      skip = Math.max(0, skip - length)
      piece = next
    }
    return Buffer.concat(parts)
  }
}

/** The batch of this process, or of this worker thread. */
export const sharedBatch = new Batch()

/**
 * Notifies owners. They may add bytes again, so the batch is already empty. An error in one does not affect the others
 * or the caller of `flush`.
 */
function tellOwners(partial: readonly PartialWrite[]): void {
  for (const { slot, rest, errno } of partial) isolated(() => slot.onPartialWrite(rest, errno))
}

function flushAtEndOfTick(batch: Batch): void {
  batch.flushScheduled()
}

/** Up to this length, a loop is faster than a call into C++. */
const SHORT_TEXT = 256

/** Writes text as UTF-8 and returns the number of bytes. */
function putText(target: Buffer, at: number, text: string): number {
  const { length } = text
  if (length > SHORT_TEXT) return target.write(text, at)
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return target.write(text, at)
    target[at + i] = code
  }
  return length
}
