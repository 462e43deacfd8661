// One connection, from its beginning to its loss. Every command settles: with an answer, or when the connection is given up.
import { callAfter, monotonicNow } from '../../internal/scheduling.js'
import type { RedisConnection } from './connector.js'
import { isReply, isTransient } from './replies.js'

/** How the server knows a connection, so that another one can end it. */
export interface Identity {
  readonly id: string
  readonly address: string
}

interface Pending {
  readonly due: number
  readonly reject: (error: Error) => void
}

/** An answer that came while the event loop stood still is read within this time, ms. */
const GRACE = 50

/** A connection with a watchdog. */
export class Session {
  /** `undefined` where the server does not say. */
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

  /** Why it has ended, if it has. */
  get lost(): Error | undefined {
    return this.#lost
  }

  /** Sends a command. No answer after `timeout` ms ends the connection, and with it everything that is pending. */
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

  /** Ends it: what is pending rejects. */
  fail(cause: Error): void {
    if (this.#lost !== undefined) return
    // Not the server's answer to what else is pending, whatever the cause is.
    const lost = new Error(`The connection to Redis is lost: ${cause.message}`, { cause })
    this.#lost = lost
    this.#cancel?.()
    this.#connection.close()
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    this.#onLost(lost)
    for (const { reject } of pending) reject(lost)
  }

  /** One timer, for the command that is due first: answers come in order, or nearly. */
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
