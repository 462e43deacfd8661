// Ids that a channel gives by itself, and the event that tells a client an id and nothing else.
import { randomBytes } from 'node:crypto'
import { EncodedEvent } from '../sse/encode.js'

/**
 * An event that only has an id, which clients keep and tell nobody of (HTML Standard, 9.2.6: the data buffer is empty). It counts as no
 * event.
 */
export function primer(id: string): EncodedEvent {
  return new EncodedEvent(Buffer.from(`id: ${id}\n\n`), id, undefined, true)
}

/** Ids of one channel of one process: `<era>.<number>`. */
export class Numbering {
  /** Unlike that of any other channel, here or before a restart. */
  readonly #era = randomBytes(6).toString('base64url')
  #last = 0

  /** What a client has that has had no event. */
  get origin(): EncodedEvent {
    return primer(`${this.#era}.0`)
  }

  /** The event with the next id, if it has none and is one. */
  number(event: EncodedEvent): EncodedEvent {
    if (event.id !== undefined || event.isComment) return event
    this.#last += 1
    const id = `${this.#era}.${this.#last}`
    return withId(event, id)
  }
}

/** The same event with an id in front. */
export function withId({ bytes, key }: EncodedEvent, id: string): EncodedEvent {
  return new EncodedEvent(Buffer.concat([Buffer.from(`id: ${id}\n`), bytes]), id, key)
}
