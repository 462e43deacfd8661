// A connection that is made again each time it is lost, without limit and with growing pauses.
import { callAfter, monotonicNow } from '../../internal/scheduling.js'
import { backoff, hubDown, within } from '../failures.js'
import type { RedisConnection, RedisConnector } from './connector.js'
import type { Settings } from './options.js'
import { isReply } from './replies.js'
import { type Identity, Session } from './session.js'

/** Learns of connections that are established and lost. */
export interface LinkListener {
  up(session: Session): void
  down(cause: Error): void
}

/** A connection that lasted this long does not count as a failed attempt, in milliseconds. */
const PROVEN = 5_000

/** Keeps one connection. */
export class Link {
  readonly #connector: RedisConnector
  readonly #settings: Settings
  readonly #listener: LinkListener
  #session: Session | undefined
  #attempt = 0
  #closed = false
  #cancel: (() => void) | undefined
  /** Requests that wait for a connection. */
  #waiting = new Set<() => void>()

  constructor(connector: RedisConnector, settings: Settings, listener: LinkListener) {
    this.#connector = connector
    this.#settings = settings
    this.#listener = listener
    void this.#connect()
  }

  /** The current connection, if there is one. */
  get session(): Session | undefined {
    return this.#session
  }

  /**
   * Sends requests that may be sent twice. If the connection is lost, they are sent over the next
   * one. @throws {TcpSseError} `ERR_HUB_DOWN`
   */
  async request<T>(timeout: number, ask: (session: Session) => Promise<T>): Promise<T> {
    const due = monotonicNow() + timeout
    for (;;) {
      const session = await this.#ready(due)
      try {
        return await within(Math.max(due - monotonicNow(), 1), ask(session), late)
      } catch (error) {
        if (session.lost === undefined || monotonicNow() >= due) {
          throw hubDown(`Redis has not answered: ${messageOf(error)}`, error)
        }
      }
    }
  }

  close(): void {
    this.#closed = true
    this.#cancel?.()
    this.#session?.fail(new Error('The hub has been closed.'))
    for (const wake of [...this.#waiting]) wake()
  }

  async #connect(): Promise<void> {
    let connection: RedisConnection | undefined
    try {
      connection = await this.#opened()
      const session = new Session(connection, (cause) => this.#lost(session, cause))
      session.identity = await this.#identify(session)
      if (this.#closed) session.fail(new Error('The hub has been closed.'))
      if (session.lost !== undefined) return
      this.#session = session
      this.#listener.up(session)
      for (const wake of [...this.#waiting]) wake()
    } catch (error) {
      if (connection === undefined) this.#again(error as Error)
    }
  }

  /** Makes one attempt. A connection that comes too late is closed. */
  #opened(): Promise<RedisConnection> {
    const attempt = Promise.resolve().then(() => this.#connector.connect())
    const { answerWithin } = this.#settings
    return within(answerWithin, attempt, late).catch((error: unknown) => {
      attempt.then(
        (tooLate) => tooLate.close(),
        () => {},
      )
      throw error
    })
  }

  /**
   * Also proves that the server answers. Some servers, and all clusters, do not say which
   * connection this is.
   */
  async #identify(session: Session): Promise<Identity | undefined> {
    if (this.#connector.cluster) return undefined
    try {
      const info = String(await session.command(['CLIENT', 'INFO'], this.#settings.answerWithin))
      const id = /\bid=(\d+)/.exec(info)?.[1]
      const address = /\baddr=(\S+)/.exec(info)?.[1]
      return id === undefined || address === undefined ? undefined : { id, address }
    } catch (error) {
      if (!isReply(error) || session.lost !== undefined) throw error
      return undefined
    }
  }

  #lost(session: Session, cause: Error): void {
    if (this.#session === session) {
      this.#session = undefined
      if (monotonicNow() - session.startedAt > PROVEN) this.#attempt = 0
    }
    this.#again(cause)
  }

  #again(cause: Error): void {
    if (this.#closed) return
    this.#listener.down(cause)
    const pause = backoff(this.#attempt++, this.#settings.reconnectWithin)
    this.#cancel = callAfter(pause, () => void this.#connect())
  }

  /** Returns a connection as soon as there is one. */
  async #ready(due: number): Promise<Session> {
    for (;;) {
      if (this.#closed) throw hubDown('The hub has been closed.')
      if (this.#session !== undefined) return this.#session
      const left = due - monotonicNow()
      if (left <= 0) throw hubDown('There is no connection to Redis.')
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          cancel()
          this.#waiting.delete(wake)
          resolve()
        }
        const cancel = callAfter(left, wake)
        this.#waiting.add(wake)
      })
    }
  }
}

const late = (): Error => new Error('There was no answer in time.')

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
