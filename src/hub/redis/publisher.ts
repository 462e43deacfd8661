// One feed's publications, in order, each in the log once or not at all.
//
// Commands of one connection are executed in order. So when it breaks, what has arrived of those in flight is a prefix: the end of the log says
// how long it is, and the rest is sent again. Before it is asked, the old connection is ended by the server (`Commands`): nothing of it
// can arrive later.
import { TcpSseError } from '../../internal/errors.js'
import { callAfter } from '../../internal/scheduling.js'
import { hubDown, publishUnknown } from '../failures.js'
import type { NewEntry, Position } from '../hub.js'
import { type Ask, openLog } from './log.js'
import type { Settings } from './options.js'
import { entriesOf, isReply, isTransient } from './replies.js'
import type { Session } from './session.js'
import { compareIds, type Place, positionOf, type StreamId } from './stream-id.js'

/** Characters of an event, at most: the server takes four times as many bytes. */
const LONGEST = 128 * 1024 * 1024

/** Entries that are looked at in one go, from the log's end on. */
const BATCH = 256

interface Pending {
  readonly number: number
  readonly args: readonly string[]
  readonly resolve: (position: Position) => void
  readonly reject: (error: TcpSseError) => void
  readonly cancel: () => void
  sent: boolean
  /** Its promise has settled. */
  late: boolean
}

/** What a publisher has to know of its hub. */
export interface PublisherOptions {
  readonly key: string
  readonly name: string
  readonly maxEvents: number
  readonly settings: Settings
  /** Whether each waits for the one before: a cluster's client may reorder. */
  readonly oneByOne: boolean
  /** Counts what is pending in the hub; `false`: that is too much. */
  count(change: 1 | -1): boolean
}

/** Publishes for one feed. */
export class Publisher {
  readonly #options: PublisherOptions
  #pending: Pending[] = []
  #number = 0
  #session: Session | undefined
  /** An entry that is in the log and comes before all that is in flight. */
  #floor: Place | undefined
  /** The log is gone, and is made again when all that was sent has been refused. */
  #gone = false
  #closed = false

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  publish(entry: NewEntry, timeout: number): Promise<Position> {
    if (this.#closed) return Promise.reject(hubDown('The channel has been closed.'))
    if (entry.text.length > LONGEST) {
      const why = `The event has ${entry.text.length} characters; Redis takes ${LONGEST}.`
      return Promise.reject(new TcpSseError('ERR_EVENT_INVALID', why))
    }
    if (!this.#options.count(1)) {
      return Promise.reject(hubDown('Too many publications wait for an answer of Redis.'))
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

  /** The log has been opened: its first position. */
  start(place: Place): void {
    this.#floor ??= place
    if (place.era !== this.#floor.era) this.#floor = place
    this.#flush()
  }

  get inFlight(): boolean {
    return this.#pending.some(({ sent }) => sent)
  }

  /** There is a connection, and nothing of the earlier ones can arrive any more, if `fenced`. */
  async attach(session: Session, fenced: boolean): Promise<void> {
    await this.#recover(session, fenced)
    if (this.#closed) return
    this.#session = session
    this.#gone = false
    this.#flush()
  }

  /** The connection is lost. */
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
    // What is not sent comes behind what is.
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
    // Those before it were refused, and have lost their place.
    for (const each of [...this.#pending]) {
      if (each === pending) break
      if (!each.sent) this.#settle(each, () => each.reject(hubDown('Redis has refused the event.')))
    }
    this.#settle(pending, () => pending.resolve(positionOf(era, id)))
    if (this.#options.oneByOne) this.#flush()
  }

  /** There is no such stream: it was flushed, or has expired. */
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

  /** Finds out what has arrived of those in flight. The rest is as if it had never been sent, or is unknown for good. */
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
   * Our entries behind the floor, from the log's end on; `certain` if there are no others. The floor may have been lost with a server: but what
   * is older than it says that nothing behind it was trimmed.
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

  /** Its time is over. What was sent stays in the list until it is known what became of it, so that those behind it keep their order. */
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
      this.#settle(each, () => each.reject(hubDown('Redis makes no log.', error)))
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
