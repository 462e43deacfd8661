// A part of what a cohort has sent, for all who have to know what of it was theirs.
import { chunkSize } from '../../sse/chunk.js'
import type { EncodedEvent } from '../../sse/encode.js'

/** How many broadcasts a page lists. */
export const PAGE = 256

/** Broadcasts in order: never changed, only added to. */
export class BroadcastPage {
  /** Where each event ends, in bytes of HTTP/1.1 chunks from the page's start. */
  readonly #ends = new Float64Array(PAGE)
  /** The same without the chunks' framing. */
  readonly #bodyEnds = new Float64Array(PAGE)
  readonly #ids: (string | undefined)[] = []

  get length(): number {
    return this.#ids.length
  }

  add({ bytes, id }: Pick<EncodedEvent, 'bytes' | 'id'>): void {
    const index = this.#ids.length
    this.#ends[index] = this.end(index) + chunkSize(bytes.length)
    this.#bodyEnds[index] = this.bodyEnd(index) + bytes.length
    this.#ids.push(id)
  }

  id(index: number): string | undefined {
    return this.#ids[index]
  }

  /** Bytes of the first `count` events, as chunks. */
  end(count: number): number {
    return count === 0 ? 0 : (this.#ends[count - 1] as number)
  }

  /** Bytes of the first `count` events. */
  bodyEnd(count: number): number {
    return count === 0 ? 0 : (this.#bodyEnds[count - 1] as number)
  }
}
