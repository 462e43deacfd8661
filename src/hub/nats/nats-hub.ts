import { monotonicNow } from '../../internal/scheduling.js'
import { checkOptions } from '../../internal/validate.js'
import { hubClosed, hubDown, within } from '../failures.js'
import type {
  Feed,
  FeedListener,
  Hub,
  Keep,
  NewEntry,
  Page,
  Position,
  ReadRequest,
} from '../hub.js'
import { limited } from '../limited.js'
import { Api } from './api.js'
import { clientOf, type JetStreamLike, type NatsClient } from './client.js'
import { Follower } from './follower.js'
import { defaults, type NatsHubOptions, natsHubChecks, type Settings } from './options.js'
import { readPage } from './pages.js'
import { placeOf } from './position.js'
import { Publisher } from './publisher.js'

/** Minimum time between two forced reconnections, in milliseconds. */
const RECONNECT = 5_000

/**
 * A hub over NATS JetStream, for channels of several processes: one stream, with one subject per
 * channel. Requires NATS 2.9 or later.
 *
 * The hub uses the given connection and never closes it. Connect with `maxReconnectAttempts: -1`:
 * by default, the NATS client gives up permanently after ten attempts.
 *
 * @param js - `jetstream(connection)` of @nats-io/jetstream 3
 * @throws {TcpSseError} `ERR_OPTION_TYPE` for any other client, `ERR_OPTION_UNKNOWN`,
 * `ERR_OPTION_VALUE`
 * @example
 * import { natsHub } from 'tcp-sse/nats'
 * import { connect } from '@nats-io/transport-node'
 * import { jetstream } from '@nats-io/jetstream'
 *
 * const connection = await connect({ servers: 'nats://127.0.0.1:4222', maxReconnectAttempts: -1 })
 * const hub = natsHub(jetstream(connection))
 */
export function natsHub(js: JetStreamLike, options: NatsHubOptions = {}): Hub {
  const client = clientOf(js)
  const given = checkOptions(options, natsHubChecks, 'options')
  return new NatsHub(client, { ...defaults, ...given } as Settings)
}

class NatsHub implements Hub {
  readonly scope: string
  readonly #client: NatsClient
  readonly #settings: Settings
  readonly #api: Api
  readonly #count: (change: 1 | -1) => boolean
  readonly #feeds = new Set<NatsFeed>()
  #connected = true
  #closed = false
  #reconnectedAt = Number.NEGATIVE_INFINITY

  constructor(client: NatsClient, settings: Settings) {
    this.#client = client
    this.#settings = settings
    this.#count = limited(settings.maxPending)
    this.#api = new Api(client, settings)
    this.scope = `nats.${settings.stream}.${settings.prefix}`
    this.#listen().catch(() => this.#down('close'))
  }

  open(channel: string, listener: FeedListener, keep: Keep): Feed {
    if (this.#closed) throw hubClosed()
    const client = this.#client
    const settings = this.#settings
    const subject = `${settings.prefix}.${tokenOf(channel)}`
    const publisher = new Publisher({
      client,
      settings,
      subject,
      connected: () => this.#connected && !client.connection.isClosed(),
      ensure: async () => (await this.#api.ensure(keep.maxEvents)).era,
      count: this.#count,
    })
    const follower = new Follower({
      api: this.#api,
      connection: client.connection,
      settings,
      subject,
      listener,
      keep,
      mark: (payload, msgID) =>
        client.js.publish(subject, payload, { msgID, timeout: settings.answerWithin, retries: 0 }),
      onEra: (era) => publisher.start(era),
      onSilence: () => this.#reconnect(),
    })
    const source = { api: this.#api, connection: client.connection, subject }
    const feed = new NatsFeed(follower, publisher, source, () => this.#feeds.delete(feed))
    this.#feeds.add(feed)
    return feed
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const feed of [...this.#feeds]) feed.close()
  }

  /** Follows the library's reports of lost and restored connections. */
  async #listen(): Promise<void> {
    for await (const { type } of this.#client.connection.status()) {
      if (this.#closed) return
      if (type === 'disconnect' || type === 'close') this.#down(type)
      else if (type === 'reconnect') this.#up()
    }
  }

  #down(type: string): void {
    this.#connected = false
    const closed = type === 'close'
    const why = `The connection to NATS ${closed ? 'has been closed' : 'is lost'}.`
    for (const feed of this.#feeds) feed.follower.down(new Error(why))
  }

  #up(): void {
    this.#connected = true
    for (const feed of this.#feeds) {
      feed.follower.restart()
      feed.publisher.flush()
    }
  }

  /**
   * Forces a reconnection if nothing is answered over the connection. The library would notice only
   * after minutes.
   */
  #reconnect(): void {
    const { connection } = this.#client
    if (!this.#connected || connection.isClosed() || this.#closed) return
    if (monotonicNow() - this.#reconnectedAt < RECONNECT) return
    this.#reconnectedAt = monotonicNow()
    connection.reconnect?.().catch(() => {})
  }
}

const NOTHING: Page = { outcome: 'unknown', entries: [], more: false }

/** One channel's subject, as one channel object of this process uses it. */
class NatsFeed implements Feed {
  readonly follower: Follower
  readonly publisher: Publisher
  readonly #source: Parameters<typeof readPage>[0]
  readonly #onClose: () => void
  #closed = false

  constructor(
    follower: Follower,
    publisher: Publisher,
    source: Parameters<typeof readPage>[0],
    onClose: () => void,
  ) {
    this.follower = follower
    this.publisher = publisher
    this.#source = source
    this.#onClose = onClose
  }

  publish(entry: NewEntry, timeout: number): Promise<Position> {
    return this.publisher.publish(entry, timeout)
  }

  async read({ after, upTo, limit, timeout }: ReadRequest): Promise<Page> {
    if (this.#closed) throw hubDown('The channel has been closed.')
    const from = placeOf(after)
    const to = placeOf(upTo)
    // A string that is not a position of this log costs the server nothing.
    if (from === undefined || to === undefined) return NOTHING
    if (from.era !== this.follower.place?.era) return NOTHING
    // The bound is of another era: the log was made anew, and the listener is about to learn that.
    const bound = to.era === from.era ? to.sequence : from.sequence
    const late = (): Error => new Error('There was no answer in time.')
    try {
      return await within(timeout, readPage(this.#source, from, bound, limit), late)
    } catch (error) {
      throw hubDown(`NATS has not answered: ${(error as Error).message}`, error)
    }
  }

  compare(a: Position, b: Position): number {
    const [left, right] = [placeOf(a), placeOf(b)]
    if (left === undefined || right === undefined || left.era !== right.era) return Number.NaN
    return left.sequence - right.sequence
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.follower.close()
    this.publisher.close()
    this.#onClose()
  }
}

/**
 * A channel's name as one token of a subject. Each byte that is not a letter, a digit, `_` or `-`
 * becomes `=` and two hexadecimal digits.
 */
function tokenOf(channel: string): string {
  if (channel === '') return '='
  return channel.replaceAll(/[^\w-]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `=${byte.toString(16).padStart(2, '0')}`).join(''),
  )
}
