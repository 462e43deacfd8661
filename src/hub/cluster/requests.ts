// A worker's requests to its primary that have not been answered yet.
import type { Clock } from '../../internal/clock.js'
import { Deferred } from '../../internal/deferred.js'
import { TcpSseError } from '../../internal/errors.js'
import type { FromPrimary } from './messages.js'

type Answer = Extract<FromPrimary, { request: number }>

interface Pending {
  readonly feed: number
  readonly bytes: number
  /** Makes the error with which the request rejects if no answer comes. */
  readonly unanswered: (cause: Error) => TcpSseError
  readonly answer: Deferred<Answer>
  readonly cancel: () => void
}

/** Describes a request. */
export interface Ask {
  readonly clock: Clock
  readonly feed: number
  readonly bytes: number
  readonly timeout: number
  readonly unanswered: (cause: Error) => TcpSseError
  /** Sends the request. Calls `failed` if it could not be sent. */
  send(request: number, failed: (error: Error) => void): void
}

/**
 * Bytes and number of requests that a worker may have in flight, so that a stuck primary does not
 * exhaust the worker's memory.
 */
const MOST_BYTES = 32 * 1024 * 1024
const MOST_REQUESTS = 20_000

/**
 * Requests by number. Each settles: with its answer, at its timeout, or when the primary is gone.
 */
export class Requests {
  readonly #pending = new Map<number, Pending>()
  #next = 1
  #bytes = 0

  ask({ clock, feed, bytes, timeout, unanswered, send }: Ask): Promise<Answer> {
    if (this.#bytes + bytes > MOST_BYTES || this.#pending.size >= MOST_REQUESTS) {
      const message = 'Too many requests are waiting for the primary.'
      return Promise.reject(new TcpSseError('ERR_HUB_DOWN', message))
    }
    const request = this.#next++
    const answer = new Deferred<Answer>()
    const late = (): void => {
      this.#settle(request)?.answer.reject(unanswered(new Error(`No answer in ${timeout} ms.`)))
    }
    const cancel = clock.after(timeout, late)
    this.#pending.set(request, { feed, bytes, unanswered, answer, cancel })
    this.#bytes += bytes
    send(request, (cause) => {
      this.#settle(request)?.answer.reject(
        new TcpSseError('ERR_HUB_DOWN', `The primary cannot be reached: ${cause.message}`, {
          cause,
        }),
      )
    })
    return answer.promise
  }

  answer(answer: Answer): void {
    const pending = this.#settle(answer.request)
    if (answer.kind !== 'refused') pending?.answer.resolve(answer)
    else pending?.answer.reject(new TcpSseError(answer.code, answer.message))
  }

  /**
   * Rejects the pending requests of one feed, or of all feeds, because no more answers will come.
   */
  abandon(cause: Error, feed?: number): void {
    for (const [request, pending] of this.#pending) {
      if (feed !== undefined && pending.feed !== feed) continue
      this.#settle(request)
      pending.answer.reject(pending.unanswered(cause))
    }
  }

  #settle(request: number): Pending | undefined {
    const pending = this.#pending.get(request)
    if (pending === undefined) return undefined
    this.#pending.delete(request)
    this.#bytes -= pending.bytes
    pending.cancel()
    return pending
  }
}
