// What a worker has asked of its primary and has no answer to.
import type { Clock } from '../../internal/clock.js'
import { Deferred } from '../../internal/deferred.js'
import { TcpSseError } from '../../internal/errors.js'
import type { FromPrimary } from './messages.js'

type Answer = Extract<FromPrimary, { request: number }>

interface Pending {
  readonly feed: number
  readonly bytes: number
  /** What becomes of it where no answer comes. */
  readonly unanswered: (cause: Error) => TcpSseError
  readonly answer: Deferred<Answer>
  readonly cancel: () => void
}

/** How one is made. */
export interface Ask {
  readonly clock: Clock
  readonly feed: number
  readonly bytes: number
  readonly timeout: number
  readonly unanswered: (cause: Error) => TcpSseError
  /** Sends it. `failed`: it has not been sent. */
  send(request: number, failed: (error: Error) => void): void
}

/** Bytes of a worker's requests that may be on their way: a primary that is stuck fills no worker's memory. */
const MOST_BYTES = 32 * 1024 * 1024
const MOST_REQUESTS = 20_000

/** Requests by number. Each settles: by its answer, by its time, or because the primary is gone. */
export class Requests {
  readonly #pending = new Map<number, Pending>()
  #next = 1
  #bytes = 0

  ask({ clock, feed, bytes, timeout, unanswered, send }: Ask): Promise<Answer> {
    if (this.#bytes + bytes > MOST_BYTES || this.#pending.size >= MOST_REQUESTS) {
      const message = 'Too many requests wait for the primary.'
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

  /** No more answers will come: to those of one feed, or to any. */
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
