// One feed's publications: in order, and each in the log once or not at all.
//
// The server executes the commands of one connection in order. If the connection breaks, the
// commands in flight that have arrived are a prefix. The end of the log shows how long the prefix
// is, and the rest is sent again. Before the log is read, the server ends the old connection
// (`Commands`), so that nothing from it can arrive later.
import { TcpSseError } from '../../internal/errors.js'
import { callAfter } from '../../internal/scheduling.js'
import { hubDown, publishUnknown } from '../failures.js'
import type { NewEntry, Position } from '../hub.js'
import { type Ask, openLog } from './log.js'
import type { Settings } from './options.js'
import { entriesOf, isReply, isTransient } from './replies.js'
import type { Session } from './session.js'
import { compareIds, type Place, positionOf, type StreamId } from './stream-id.js'

/** Maximum characters of an event. The server accepts four times as many bytes. */
const LONGEST = 128 * 1024 * 1024

/** Entries that are read at a time, backwards from the log's end. */
const BATCH = 256

interface Pending {
  readonly number: number
  readonly args: readonly string[]
  readonly resolve: (position: Position) => void
  readonly reject: (error: TcpSseError) => void
  readonly cancel: () => void
  sent: boolean
  /** Whether its promise has already settled. */
  late: boolean
}

/** What a publisher needs from its hub. */
export interface PublisherOptions {
  readonly key: string
  readonly name: string
  readonly maxEvents: number
  readonly settings: Settings
  /**
   * Whether each publication waits for the one before, because a cluster's client may reorder them.
   */
  readonly oneByOne: boolean
  /** Counts what is pending in the hub. Returns `false` if the limit is reached. */
  count(change: 1 | -1): boolean
}

/** Publishes for one feed. */
export class Publisher {
  readonly #options: PublisherOptions
  #pending: Pending[] = []
  #number = 0
  #session: Session | undefined
  /** An entry of the log that precedes everything in flight. */
  #floor: Place | undefined
  /** Whether the log is gone. It is made again once all commands in flight have been refused. */
  #gone = false
  #closed = false

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  publish(entry: NewEntry, timeout: number): Promise<Position> {
    if (this.#closed) return Promise.reject(hubDown('The channel has been closed.'))
    if (entry.text.length > LONGEST) {
      const why = `The event has ${entry.text.length} characters. The limit for Redis is ${LONGEST}.`
      return Promise.reject(new TcpSseError('ERR_EVENT_INVALID', why))
    }
    if (!this.#options.count(1)) {
      const why =
        'The limit of unanswered publications (maxPending of the hub) is reached. Await broadcast().'
      return Promise.reject(hubDown(why))
    }
    return new Promise((resolve, reject) => {
      const number = ++this.#number
      const pending: Pending = {
        number,
        args: this.#command(entry, number),
        resolve,
        reject,
        cancel: callAfter(timeout, () => this.#expire(pending)),
        sent: false,
        late: false,
      }
      this.#pending.push(pending)
      this.#flush()
    })
  }

  /** Called when the log has been opened, with its first position. */
  start(place: Place): void {
    this.#floor ??= place
    if (place.era !== this.#floor.era) this.#floor = place
    this.#flush()
  }

  get inFlight(): boolean {
    return this.#pending.some(({ sent }) => sent)
  }

  /**
   * Called when there is a new connection. `fenced`: nothing from earlier connections can still
   * arrive.
   */
  async attach(session: Session, fenced: boolean): Promise<void> {
    await this.#recover(session, fenced)
    if (this.#closed) return
    this.#session = session
    this.#gone = false
    this.#flush()
  }

  /** Called when the connection is lost. */
  detach(): void {
    this.#session = undefined
  }

  close(): void {
    this.#closed = true
    for (const pending of [...this.#pending]) this.#giveUp(pending, 'The channel has been closed.')
  }

  #command({ text, token, key }: NewEntry, number: number): string[] {
    const { key: stream, name, maxEvents } = this.#options
    const trim = ['NOMKSTREAM', 'MAXLEN', '~', String(maxEvents)]
    const fields = ['u', name, 'n', String(number), 't', token, 'e', text]
    return ['XADD', stream, ...trim, '*', ...fields, ...(key === undefined ? [] : ['k', key])]
  }

  #flush(): void {
    const session = this.#session
    if (session === undefined || this.#floor === undefined || this.#gone) return
    // Publications that were not sent follow those that were.
    let first = this.#pending.length
    while (first > 0 && this.#pending[first - 1]?.sent === false) first -= 1
    const end = this.#options.oneByOne ? Math.min(this.#pending.length, 1) : this.#pending.length
    for (const pending of this.#pending.slice(first, end)) {
      if (session.lost === undefined) this.#send(session, pending)
    }
  }

  #send(session: Session, pending: Pending): void {
    pending.sent = true
    session.command(pending.args, this.#options.settings.answerWithin).then(
      (id) => (id === null ? this.#refused(session, pending) : this.#taken(pending, String(id))),
      (error: Error) => this.#failed(session, pending, error),
    )
  }

  #taken(pending: Pending, id: StreamId): void {
    const era = this.#floor?.era ?? ''
    this.#floor = { era, id }
    // Publications before it that were refused have lost their place in the order.
    for (const each of [...this.#pending]) {
      if (each === pending) break
      if (!each.sent) this.#settle(each, () => each.reject(hubDown('Redis has refused the event.')))
    }
    this.#settle(pending, () => pending.resolve(positionOf(era, id)))
    if (this.#options.oneByOne) this.#flush()
  }

  /** The stream does not exist: it was flushed, or has expired. */
  #refused(session: Session, pending: Pending): void {
    pending.sent = false
    this.#gone = true
    if (!this.inFlight) void this.#remake(session)
  }

  async #remake(session: Session): Promise<void> {
    const { key, settings } = this.#options
    try {
      const ask: Ask = (...args) => session.command(args, settings.answerWithin)
      const { era, top } = await openLog(ask, key)
      this.#floor = { era, id: top }
    } catch (error) {
      if (session.lost === undefined) this.#rejectAll(error)
      return
    } finally {
      this.#gone = false
    }
    this.#flush()
  }

  #failed(session: Session, pending: Pending, error: Error): void {
    if (!isReply(error)) return
    if (isTransient(error)) {
      pending.sent = false
      return
    }
    this.#settle(pending, () =>
      pending.reject(hubDown(`Redis has refused the event: ${error.message}`, error)),
    )
    if (this.#gone && !this.inFlight) void this.#remake(session)
    if (this.#options.oneByOne) this.#flush()
  }

  /**
   * Finds out which of the publications in flight have arrived. The others are sent again if that
   * is safe, and otherwise reject as unknown.
   */
  async #recover(session: Session, fenced: boolean): Promise<void> {
    if (!this.inFlight || this.#floor === undefined) return
    const { found, certain } = await this.#arrived(session, this.#floor)
    for (const pending of [...this.#pending]) {
      if (!pending.sent) continue
      const id = found.get(pending.number)
      if (id !== undefined) this.#taken(pending, id)
      else if (fenced && certain && !pending.late) pending.sent = false
      else {
        const why = 'The connection to Redis broke, and the event is not in the log so far.'
        this.#settle(pending, () => pending.reject(publishUnknown(why, session.lost)))
      }
    }
  }

  /**
   * Finds this publisher's entries after the floor, backwards from the log's end. `certain`: there
   * are no others. The floor itself may have been lost with a server; an older entry still proves
   * that nothing after it was trimmed.
   */
  async #arrived(
    session: Session,
    floor: Place,
  ): Promise<{ found: Map<number, StreamId>; certain: boolean }> {
    const { key, name, settings } = this.#options
    const found = new Map<number, StreamId>()
    let from = '+'
    for (;;) {
      const args = ['XREVRANGE', key, from, '-', 'COUNT', String(BATCH)]
      const entries = entriesOf(await session.command(args, settings.answerWithin))
      for (const { id, fields } of entries) {
        if (compareIds(id, floor.id) <= 0) return { found, certain: true }
        if (fields.u === name) found.set(Number(fields.n), id)
      }
      const last = entries.at(-1)?.id
      if (last === undefined || entries.length < BATCH) return { found, certain: false }
      from = `(${last}`
    }
  }

  /**
   * The timeout has passed. A publication that was sent stays in the list until its outcome is
   * known, so that those after it keep their order.
   */
  #expire(pending: Pending): void {
    if (pending.sent) {
      pending.late = true
      pending.reject(publishUnknown('Redis has not answered in time; the event may be in the log.'))
    } else this.#giveUp(pending, 'There is no connection to Redis.')
  }

  #giveUp(pending: Pending, why: string): void {
    const error = pending.sent ? publishUnknown(why) : hubDown(why)
    this.#settle(pending, () => pending.reject(error))
  }

  #rejectAll(error: unknown): void {
    for (const each of [...this.#pending]) {
      this.#settle(each, () => each.reject(hubDown('Redis cannot create the log.', error)))
    }
  }

  #settle(pending: Pending, how: () => void): void {
    const index = this.#pending.indexOf(pending)
    if (index < 0) return
    this.#pending.splice(index, 1)
    pending.cancel()
    this.#options.count(-1)
    if (!pending.late) how()
  }
}
