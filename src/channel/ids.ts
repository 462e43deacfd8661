// Ids that a channel gives itself, and the event that only sets a client's last event id.
import { randomBytes } from 'node:crypto'
import { EncodedEvent } from '../sse/encode.js'

/**
 * An event with nothing but an id. Clients store the id and dispatch no event (HTML Standard,
 * 9.2.6: the data buffer is empty). It does not count as an event.
 */
export function primer(id: string): EncodedEvent {
  return new EncodedEvent(Buffer.from(`id: ${id}\n\n`), id, undefined, true)
}

/** Ids of one channel of one process: `<era>.<number>`. */
export class Numbering {
  /** Unique to this channel, also across restarts. */
  readonly #era = randomBytes(6).toString('base64url')
  #last = 0

  /** The id for a client that has not received any event. */
  get origin(): EncodedEvent {
    return primer(`${this.#era}.0`)
  }

  /** Gives the event the next id, unless it has one or is a comment. */
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
