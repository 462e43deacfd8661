import { TcpSseError } from '../../internal/errors.js'
import {
  type Check,
  type Checks,
  duration,
  integer,
  oneOf,
  wrongType,
} from '../../internal/validate.js'

/** Options of `natsHub`. */
export interface NatsHubOptions {
  /**
   * The JetStream stream that holds all channels. If it does not exist, the hub creates it, with a
   * `max_msgs_per_subject` that is 256 more than the `maxEvents` of the largest history. 1 to 64
   * letters, digits, `_` and `-`.
   * @defaultValue 'TCP_SSE'
   */
  stream?: string | undefined
  /**
   * The first token of the subjects: a channel is `<prefix>.<its name>`. 1 to 64 letters, digits,
   * `_` and `-`.
   * @defaultValue 'tcp-sse'
   */
  prefix?: string | undefined
  /**
   * Where a new stream is stored. A stream in memory is lost with the server. @defaultValue 'file'
   */
  storage?: 'file' | 'memory' | undefined
  /** The number of servers that store a new stream. 1 to 5. @defaultValue 1 */
  replicas?: number | undefined
  /**
   * How long a new stream keeps an event, in milliseconds. It must be at least the `maxAge` of each
   * channel's history. Without it, the events of channels that are no longer used stay. 1 000 to 2
   * 147 483 647.
   * @defaultValue without limit
   */
  maxAge?: number | undefined
  /**
   * How long an answer may take, in milliseconds. After this time, a read fails. A publication is
   * sent again, until the timeout of its call. 100 to 60 000. @defaultValue 2_000
   */
  answerWithin?: number | undefined
  /**
   * How often the server sends a heartbeat on an idle feed, in milliseconds. After two and a half
   * intervals without one, the hub makes the feed again. 100 to 60 000.
   * @defaultValue 2_000
   */
  heartbeat?: number | undefined
  /**
   * The longest pause between two attempts to make a feed again, in milliseconds. 50 to 60 000.
   * @defaultValue 2_000
   */
  retryWithin?: number | undefined
  /**
   * How many publications of this process may wait for their answers. Further ones reject with
   * `ERR_HUB_DOWN`. 1 to 1 000 000.
   * @defaultValue 10_000
   */
  maxPending?: number | undefined
}

const name: Check<string> = (value, where) => {
  if (typeof value !== 'string') throw wrongType(where, 'a string', value)
  if (!/^[\w-]{1,64}$/.test(value)) {
    const why = `${where} must have 1 to 64 letters, digits, _ and -, not '${value}'`
    throw new TcpSseError('ERR_OPTION_VALUE', why, { option: where })
  }
  return value
}

/** The table of the options. */
export const natsHubChecks: Checks<NatsHubOptions> = {
  stream: name,
  prefix: name,
  storage: oneOf(['file', 'memory']),
  replicas: integer('servers', { min: 1, max: 5 }),
  maxAge: duration({ min: 1_000 }),
  answerWithin: duration({ min: 100, max: 60_000 }),
  heartbeat: duration({ min: 100, max: 60_000 }),
  retryWithin: duration({ min: 50, max: 60_000 }),
  maxPending: integer('publications', { min: 1, max: 1_000_000 }),
}

/** Options with their defaults. */
export type Settings = {
  readonly [K in Exclude<keyof NatsHubOptions, 'maxAge'>]-?: Exclude<NatsHubOptions[K], undefined>
} & { readonly maxAge?: number }

export const defaults: Settings = {
  stream: 'TCP_SSE',
  prefix: 'tcp-sse',
  storage: 'file',
  replicas: 1,
  answerWithin: 2_000,
  heartbeat: 2_000,
  retryWithin: 2_000,
  maxPending: 10_000,
}
