// The last message to a client whose server shuts down.
import { EncodedEvent, encodeEvent } from '../sse/encode.js'
import { jitter } from './admission.js'

/** Creates the events that each client gets before its stream ends. */
export class ShutdownMessage {
  readonly #retry: number | false
  readonly #event: EncodedEvent | undefined

  constructor(retry: number | false, event: EncodedEvent | undefined) {
    this.#retry = retry
    this.#event = event
  }

  /** The events for another client, with a random time to wait. */
  events(): EncodedEvent[] {
    const events: EncodedEvent[] = []
    if (this.#retry !== false) events.push(retryOnly(jitter(this.#retry)))
    if (this.#event !== undefined) events.push(this.#event)
    return events
  }
}

/** A `retry` is not an event for a client, so it is not counted as one. */
function retryOnly(retry: number): EncodedEvent {
  return new EncodedEvent(encodeEvent({ retry }).bytes, undefined, undefined, true)
}
