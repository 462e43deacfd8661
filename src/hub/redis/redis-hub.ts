import { checkOptions } from '../../internal/validate.js'
import { hubClosed } from '../failures.js'
import { hash } from '../hash.js'
import type { Feed, FeedListener, Hub, Keep } from '../hub.js'
import { limited } from '../limited.js'
import { Commands } from './commands.js'
import { connectorOf, type RedisClient, type RedisConnector } from './connector.js'
import { RedisFeed } from './feed.js'
import { defaults, type RedisHubOptions, redisHubChecks, type Settings } from './options.js'
import { Publisher } from './publisher.js'
import { Reader } from './reader.js'
import { Tail } from './tail.js'

/**
 * A hub over Redis or Valkey Streams, for channels of several processes. Each channel is one
 * stream. Requires Redis 6.2 or later, or Valkey.
 *
 * The client is a template that the hub never uses itself, so it need not be connected. The hub
 * makes its own connections with the client's `duplicate()`, one for reading and one for everything
 * else, and reconnects them itself. They need permission for XADD, XREAD, XRANGE, XREVRANGE, XINFO,
 * XGROUP CREATE, PEXPIRE, CLIENT INFO and CLIENT KILL. Without CLIENT KILL, an event that was in
 * flight when a connection broke is not sent again: it rejects with `ERR_PUBLISH_UNKNOWN` unless the
 * hub finds it in the log.
 *
 * @param client - of `redis` (node-redis 5 or 6) or `ioredis` (5 or 6), single or cluster; or a
 * `RedisConnector`
 * @throws {TcpSseError} `ERR_OPTION_TYPE` for any other client, `ERR_OPTION_UNKNOWN`,
 * `ERR_OPTION_VALUE`
 * @example
 * import { redisHub } from 'tcp-sse/redis'
 * import { createClient } from 'redis'
 *
 * const hub = redisHub(createClient({ url: 'redis://127.0.0.1:6379' }))
 */
export function redisHub(client: RedisClient | RedisConnector, options: RedisHubOptions = {}): Hub {
  const given = checkOptions(options, redisHubChecks, 'options')
  const settings = { ...defaults, ...given } as Settings
  return new RedisHub(connectorOf(client, settings.answerWithin), settings)
}

/** The hub of one prefix. */
class RedisHub implements Hub {
  readonly scope: string
  readonly #connector: RedisConnector
  readonly #settings: Settings
  readonly #parts = new Map<number, Part>()
  readonly #feeds = new Set<Feed>()
  readonly #name = randomName()
  readonly #count: (change: 1 | -1) => boolean
  #opened = 0
  #closed = false

  constructor(connector: RedisConnector, settings: Settings) {
    this.#connector = connector
    this.#settings = settings
    this.#count = limited(settings.maxPending)
    this.scope = `redis.${settings.prefix}`
  }

  open(channel: string, listener: FeedListener, keep: Keep): Feed {
    if (this.#closed) throw hubClosed()
    const part = this.#partOf(channel)
    const { commands } = part
    const key = `${part.prefix}c:${channel}`
    const publisher = new Publisher({
      key,
      name: `${this.#name}${(this.#opened++).toString(36)}`,
      maxEvents: keep.maxEvents,
      settings: this.#settings,
      oneByOne: this.#connector.cluster === true,
      count: this.#count,
    })
    const tail = new Tail(key, listener, keep, (place) => publisher.start(place))
    const reader = part.readerFor(tail)
    commands.add(publisher)
    const { answerWithin } = this.#settings
    const feed: Feed = new RedisFeed({
      tail,
      publisher,
      commands,
      answerWithin,
      onClose: () => {
        this.#feeds.delete(feed)
        commands.remove(publisher)
        part.leave(reader, tail)
      },
    })
    this.#feeds.add(feed)
    return feed
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const feed of this.#feeds) feed.close()
    for (const part of this.#parts.values()) part.close()
  }

  #partOf(channel: string): Part {
    const index = hash(channel) % this.#settings.partitions
    let part = this.#parts.get(index)
    if (part === undefined) {
      part = new Part(this.#connector, this.#settings, index, this.#name)
      this.#parts.set(index, part)
    }
    return part
  }
}

/** The channels with one hash tag, and so on one server of a cluster. */
class Part {
  /**
   * The prefix of all its keys. The tag is more than a bare number, because bare numbers collide.
   */
  readonly prefix: string
  readonly commands: Commands
  readonly #connector: RedisConnector
  readonly #settings: Settings
  readonly #name: string
  readonly #readers = new Set<Reader>()
  #made = 0

  constructor(connector: RedisConnector, settings: Settings, index: number, name: string) {
    this.prefix = `{${settings.prefix}:${index}}`
    this.#connector = connector
    this.#settings = settings
    this.#name = name
    this.commands = new Commands(connector, settings)
  }

  /** The first reader that has space and does not read this stream already. */
  readerFor(tail: Tail): Reader {
    for (const reader of this.#readers) {
      if (reader.size < this.#settings.channelsPerConnection && !reader.has(tail.key)) {
        reader.add(tail)
        return reader
      }
    }
    const reader = new Reader({
      connector: this.#connector,
      settings: this.#settings,
      wakeKey: `${this.prefix}w:${this.#name}${(this.#made++).toString(36)}`,
      wake: (key) => this.#wake(key),
    })
    this.#readers.add(reader)
    reader.add(tail)
    return reader
  }

  leave(reader: Reader, tail: Tail): void {
    reader.remove(tail)
    if (reader.size > 0) return
    this.#readers.delete(reader)
    reader.close()
  }

  close(): void {
    for (const reader of this.#readers) reader.close()
    this.commands.link.close()
  }

  /** If the wake-up is lost, the reader notices the change after at most `blockFor`. */
  #wake(key: string): void {
    this.commands.tell(['XADD', key, 'MAXLEN', '1', '*', 'w', '1'], ['PEXPIRE', key, '60000'])
  }
}

function randomName(): string {
  return `${Math.floor(Math.random() * 36 ** 8)
    .toString(36)
    .padStart(8, '0')}-`
}
