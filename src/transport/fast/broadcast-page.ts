// A list of broadcasts that a cohort has sent. Its members use it to find out which were theirs.
import { chunkSize } from '../../sse/chunk.js'
import type { EncodedEvent } from '../../sse/encode.js'

/** The number of broadcasts in a full page. */
export const PAGE = 256

/** Broadcasts in order. The page only grows; entries never change. */
export class BroadcastPage {
  /** The end of each event, in bytes of HTTP/1.1 chunks from the start of the page. */
  readonly #ends = new Float64Array(PAGE)
  /** The same without chunk framing. */
  readonly #bodyEnds = new Float64Array(PAGE)
  readonly #ids: (string | undefined)[] = []
  /** For each event, the index of the last one with an id up to it; -1 if there is none. */
  readonly #lastWithId = new Int16Array(PAGE)

  get length(): number {
    return this.#ids.length
  }

  add({ bytes, id }: Pick<EncodedEvent, 'bytes' | 'id'>): void {
    const index = this.#ids.length
    this.#ends[index] = this.end(index) + chunkSize(bytes.length)
    this.#bodyEnds[index] = this.bodyEnd(index) + bytes.length
    this.#lastWithId[index] = id === undefined ? (this.#lastWithId[index - 1] ?? -1) : index
    this.#ids.push(id)
  }

  id(index: number): string | undefined {
    return this.#ids[index]
  }

  /** The last id of the events from `first` to `next - 1`; `undefined` if none has one. */
  lastId(first: number, next: number): string | undefined {
    const index = this.#lastWithId[next - 1] ?? -1
    return index < first ? undefined : this.#ids[index]
  }

  /** The size of the first `count` events, as chunks. */
  end(count: number): number {
    return count === 0 ? 0 : (this.#ends[count - 1] as number)
  }

  /** The size of the first `count` events, without chunk framing. */
  bodyEnd(count: number): number {
    return count === 0 ? 0 : (this.#bodyEnds[count - 1] as number)
  }
}
