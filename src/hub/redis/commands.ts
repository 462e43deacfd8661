// The connection that everything but the reading of the logs' ends goes over.
import type { RedisConnector } from './connector.js'
import { Link } from './link.js'
import type { Settings } from './options.js'
import type { Publisher } from './publisher.js'
import { isReply } from './replies.js'
import type { Identity, Session } from './session.js'

/** Publishes and asks, over one connection. */
export class Commands {
  readonly link: Link
  readonly #settings: Settings
  readonly #publishers = new Set<Publisher>()
  /** Connections that were lost with something in flight: what the server has of them may still be executed. */
  #loose: (Identity | undefined)[] = []
  #current: Session | undefined

  constructor(connector: RedisConnector, settings: Settings) {
    this.#settings = settings
    this.link = new Link(connector, settings, {
      up: (session) => void this.#up(session),
      down: () => this.#down(),
    })
  }

  add(publisher: Publisher): void {
    this.#publishers.add(publisher)
    if (this.#current !== undefined) void publisher.attach(this.#current, true)
  }

  remove(publisher: Publisher): void {
    this.#publishers.delete(publisher)
  }

  /** Sends what needs no answer, if there is a connection. */
  tell(...commands: string[][]): void {
    const { session } = this.link
    for (const args of commands) session?.command(args, this.#settings.answerWithin).catch(() => {})
  }

  async #up(session: Session): Promise<void> {
    this.#current = session
    try {
      const fenced = await this.#fence(session)
      for (const publisher of [...this.#publishers]) await publisher.attach(session, fenced)
      this.#loose = []
    } catch (error) {
      // Where the server refuses what this needs, it is tried again with the next connection.
      session.fail(error as Error)
    }
  }

  #down(): void {
    const lost = this.#current
    this.#current = undefined
    if (lost !== undefined) this.#loose.push(lost.identity)
    for (const publisher of this.#publishers) publisher.detach()
  }

  /**
   * Has the server end the connections that were lost, because it may have commands of theirs in its buffers. By id and address: ids of
   * another server, or of the same one before a restart, are others'. Whether that is certain.
   */
  async #fence(session: Session): Promise<boolean> {
    if (![...this.#publishers].some((publisher) => publisher.inFlight)) return true
    let fenced = true
    for (const identity of this.#loose) {
      if (identity === undefined) fenced = false
      else fenced = (await this.#kill(session, identity)) && fenced
    }
    return fenced
  }

  async #kill(session: Session, { id, address }: Identity): Promise<boolean> {
    try {
      const args = ['CLIENT', 'KILL', 'ID', id, 'ADDR', address]
      await session.command(args, this.#settings.answerWithin)
      return true
    } catch (error) {
      if (isReply(error) && session.lost === undefined) return false
      throw error
    }
  }
}
