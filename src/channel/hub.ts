// Between whoever broadcasts and the channels that deliver: here one process, elsewhere a message broker.
import type { EncodedEvent } from '../sse/encode.js'

/** Something broadcast. */
export interface Message {
  /** In its final form. */
  readonly event: EncodedEvent
  /** Made by the channel that broadcast it, unlike any other; what comes back to it carries the same. */
  readonly token: string
}

/**
 * Carries messages to every channel that listens, the one that published among them.
 *
 * - **Order**: all listeners get all messages in one and the same order, and the messages of one publisher in the order in
 *   which they were published.
 * - **Errors**: what cannot be published makes `publish` throw or reject, and is then delivered to nobody. A listener
 *   never throws.
 * - **Completeness**: what `publish` has taken comes to every listener, once. `Channel.close` waits for it.
 * - **Tokens**: passed on as they are. A listener gets messages with tokens it does not know: other publishers'.
 * - **Concurrency**: `publish` may be called while earlier calls are pending. Listeners are called one message at a time;
 *   never again for a listener that has been taken away.
 */
export interface Hub {
  /** Carries one message to every listener. */
  publish(message: Message): void | Promise<void>
  /** Returns what takes the listener away. */
  listen(listener: (message: Message) => void): () => void
}

/** The hub of one process: delivers at once, or after the message that is being delivered. */
export class LocalHub implements Hub {
  readonly #listeners = new Set<(message: Message) => void>()

  /** Published from within a listener, by what an application does in a callback: all others must get the earlier first. */
  readonly #waiting: Message[] = []
  #delivering = false

  publish(message: Message): void {
    this.#waiting.push(message)
    if (this.#delivering) return
    this.#delivering = true
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        for (const listener of this.#listeners) listener(next)
      }
    } finally {
      this.#delivering = false
    }
  }

  listen(listener: (message: Message) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
