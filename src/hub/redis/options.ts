import { TcpSseError } from '../../internal/errors.js'
import { type Check, type Checks, duration, integer, wrongType } from '../../internal/validate.js'

/** Options of `redisHub`. */
export interface RedisHubOptions {
  /**
   * The first part of every key, and the name of the hub: two hubs with different prefixes share
   * nothing. 1 to 64 characters without braces and white space.
   * @defaultValue 'tcp-sse'
   */
  prefix?: string | undefined
  /**
   * The number of slots over which the channels are spread, for Redis Cluster. Each slot has its
   * own hash tag, and two connections from each process. All processes need the same number,
   * because it is part of the keys. 1 to 1024.
   * @defaultValue 1
   */
  partitions?: number | undefined
  /**
   * How long a read (XREAD BLOCK) waits in the server for new events, in milliseconds.
   * 100 to 60 000.
   * @defaultValue 2_000
   */
  blockFor?: number | undefined
  /**
   * How long an answer may take, including the time to connect, in milliseconds. After that the
   * connection is dropped and made again. A reading connection that died silently is noticed after
   * `blockFor + answerWithin`. 100 to 60 000.
   * @defaultValue 2_000
   */
  answerWithin?: number | undefined
  /**
   * The longest pause between two attempts to connect, in milliseconds. 50 to 60 000.
   * @defaultValue 2_000
   */
  reconnectWithin?: number | undefined
  /**
   * How often the hub checks a channel without events, to notice a log that was emptied, in
   * milliseconds. 1 000 to 3 600 000.
   * @defaultValue 30_000
   */
  checkEvery?: number | undefined
  /**
   * How many channels one connection reads. A process with more channels uses several connections,
   * because the server's cost of a wake-up grows with the number of streams (83 us for 1 000, see
   * docs/redis-and-nats.md). 1 to 10 000.
   * @defaultValue 1_000
   */
  channelsPerConnection?: number | undefined
  /**
   * How many publications of this process may wait for their answers. Further ones reject with
   * `ERR_HUB_DOWN`. 1 to 1 000 000.
   * @defaultValue 10_000
   */
  maxPending?: number | undefined
}

const prefix: Check<string> = (value, name) => {
  if (typeof value !== 'string') throw wrongType(name, 'a string', value)
  if (!/^[^{}\s]{1,64}$/.test(value)) {
    throw new TcpSseError(
      'ERR_OPTION_VALUE',
      `${name} must have 1 to 64 characters, no braces and no white space, not '${value}'`,
      { option: name },
    )
  }
  return value
}

/** The table of the options. */
export const redisHubChecks: Checks<RedisHubOptions> = {
  prefix,
  partitions: integer('slots', { min: 1, max: 1024 }),
  blockFor: duration({ min: 100, max: 60_000 }),
  answerWithin: duration({ min: 100, max: 60_000 }),
  reconnectWithin: duration({ min: 50, max: 60_000 }),
  checkEvery: duration({ min: 1_000, max: 3_600_000 }),
  channelsPerConnection: integer('channels', { min: 1, max: 10_000 }),
  maxPending: integer('publications', { min: 1, max: 1_000_000 }),
}

/** Options with their defaults. */
export type Settings = {
  readonly [K in keyof RedisHubOptions]-?: Exclude<RedisHubOptions[K], undefined>
}

export const defaults: Settings = {
  prefix: 'tcp-sse',
  partitions: 1,
  blockFor: 2_000,
  answerWithin: 2_000,
  reconnectWithin: 2_000,
  checkEvery: 30_000,
  channelsPerConnection: 1_000,
  maxPending: 10_000,
}
