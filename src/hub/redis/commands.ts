// The connection for everything except reading the ends of the logs.
import type { RedisConnector } from './connector.js'
import { Link } from './link.js'
import type { Settings } from './options.js'
import type { Publisher } from './publisher.js'
import { isReply } from './replies.js'
import type { Identity, Session } from './session.js'

/** Publishes and reads pages, over one connection. */
export class Commands {
  readonly link: Link
  readonly #settings: Settings
  readonly #publishers = new Set<Publisher>()
  /**
   * Connections that were lost with commands in flight. The server may still execute those
   * commands.
   */
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

  /** Sends commands whose answers do not matter, if there is a connection. */
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
      // The server has refused a command that is needed here. The next connection tries again.
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
   * Lets the server end the lost connections, because it may still have their commands in its
   * buffers. Each is identified by id and address: the same id on another server, or before a
   * restart, is another connection. Returns whether all of them have certainly ended.
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
