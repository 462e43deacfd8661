// The last words to a client whose server goes.
import { EncodedEvent, encodeEvent } from '../sse/encode.js'
import { jitter } from './admission.js'

/** What each client is sent before its end. */
export class ShutdownMessage {
  readonly #retry: number | false
  readonly #event: EncodedEvent | undefined

  constructor(retry: number | false, event: EncodedEvent | undefined) {
    this.#retry = retry
    this.#event = event
  }

  /** For one more client, with a time of its own to wait. */
  events(): EncodedEvent[] {
    const events: EncodedEvent[] = []
    if (this.#retry !== false) events.push(retryOnly(jitter(this.#retry)))
    if (this.#event !== undefined) events.push(this.#event)
    return events
  }
}

/** No event to a client, so it is not counted as one. */
function retryOnly(retry: number): EncodedEvent {
  return new EncodedEvent(encodeEvent({ retry }).bytes, undefined, undefined, true)
}
