// One connection, from its start until it is lost. Every command settles: with an answer, or when
// the connection is given up.
import { callAfter, monotonicNow } from '../../internal/scheduling.js'
import type { RedisConnection } from './connector.js'
import { isReply, isTransient } from './replies.js'

/** How the server identifies a connection, so that another connection can end it. */
export interface Identity {
  readonly id: string
  readonly address: string
}

interface Pending {
  readonly due: number
  readonly reject: (error: Error) => void
}

/** Time in which an answer is read that came while the event loop was blocked, in milliseconds. */
const GRACE = 50

/** A connection with a watchdog. */
export class Session {
  /** `undefined` if the server does not report it. */
  identity: Identity | undefined
  readonly startedAt = monotonicNow()
  readonly #connection: RedisConnection
  readonly #onLost: (cause: Error) => void
  readonly #pending = new Map<number, Pending>()
  #next = 0
  #cancel: (() => void) | undefined
  #lost: Error | undefined

  constructor(connection: RedisConnection, onLost: (cause: Error) => void) {
    this.#connection = connection
    this.#onLost = onLost
  }

  /** Why the connection has ended, if it has. */
  get lost(): Error | undefined {
    return this.#lost
  }

  /**
   * Sends a command. If there is no answer within `timeout` ms, the connection is ended, and all
   * pending commands reject.
   */
  command(args: readonly string[], timeout: number): Promise<unknown> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost)
    return new Promise((resolve, reject) => {
      const number = this.#next++
      this.#pending.set(number, { due: monotonicNow() + timeout, reject })
      this.#watch()
      this.#connection.command(args).then(
        (reply) => {
          if (this.#pending.delete(number)) resolve(reply)
        },
        (error: unknown) => {
          if (!this.#pending.delete(number)) return
          const cause = error instanceof Error ? error : new Error(String(error))
          reject(cause)
          if (!isReply(cause) || isTransient(cause)) this.fail(cause)
        },
      )
    })
  }

  /** Ends the connection. Pending commands reject. */
  fail(cause: Error): void {
    if (this.#lost !== undefined) return
    // The cause may be a reply of the server, but not to the other pending commands. They get
    // another error.
    const lost = new Error(`The connection to Redis is lost: ${cause.message}`, { cause })
    this.#lost = lost
    this.#cancel?.()
    this.#connection.close()
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    this.#onLost(lost)
    for (const { reject } of pending) reject(lost)
  }

  /** Uses one timer, for the command that is due first. Answers come in order, or nearly so. */
  #watch(): void {
    if (this.#cancel !== undefined || this.#lost !== undefined) return
    const [first] = this.#pending
    if (first === undefined) return
    const [number, { due }] = first
    this.#cancel = callAfter(Math.max(due - monotonicNow(), 0), () => {
      this.#cancel = undefined
      if (!this.#pending.has(number)) return this.#watch()
      this.#cancel = callAfter(GRACE, () => {
        this.#cancel = undefined
        if (!this.#pending.has(number)) return this.#watch()
        this.fail(new Error('The server has not answered in time.'))
      })
    })
  }
}
