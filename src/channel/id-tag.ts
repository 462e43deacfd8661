// Ids of events of a hub: `<tag>.<position>`.
import { createHash } from 'node:crypto'
import type { Entry, Position } from '../hub/hub.js'
import { EncodedEvent } from '../sse/encode.js'

const LENGTH = 6
const POSITION = /^[A-Za-z0-9._~-]{1,80}$/

/**
 * The prefix of all ids of one channel: 36 bits of a hash, so that an id of another channel is
 * recognized.
 */
export class IdTag {
  readonly #prefix: string

  constructor(scope: string, channel: string) {
    const hash = createHash('sha256').update(`${scope}\0${channel}`).digest('base64url')
    this.#prefix = `${hash.slice(0, LENGTH)}.`
  }

  idOf(position: Position): string {
    return this.#prefix + position
  }

  /**
   * The position in an id that a client has sent. `undefined` for an id of another channel, and for
   * any other string.
   */
  positionOf(id: string): Position | undefined {
    if (!id.startsWith(this.#prefix)) return undefined
    const position = id.slice(this.#prefix.length)
    return POSITION.test(position) ? position : undefined
  }

  /** The event as it is sent to clients. The log has its text without an id. */
  encode({ position, text, key }: Entry): EncodedEvent {
    const id = this.idOf(position)
    return new EncodedEvent(Buffer.from(`id: ${id}\n${text}`), id, key)
  }
}
