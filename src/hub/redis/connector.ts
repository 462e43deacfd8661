// Connections through the application's client library. The library connects, authenticates and
// speaks the protocol. This project decides when to reconnect, what to send again and how long to
// wait, because each library does so differently.
import { wrongType } from '../../internal/validate.js'

/** One connection to a server, or to a cluster. */
export interface RedisConnection {
  /**
   * Sends a command. The first argument is its name. Commands of one connection reach the server in
   * the order of the calls, each at most once.
   *
   * @returns the reply, with strings for strings and arrays for arrays. Rejects with an error whose
   * message is the server's (`READONLY You can't write …`), or with any other error if the
   * connection is the cause
   */
  command(args: readonly string[]): Promise<unknown>
  /** Closes the connection at once. Pending commands may settle or not. */
  close(): void
}

/** Makes connections. Implement it for client libraries that `redisHub` does not know. */
export interface RedisConnector {
  /** Connects once, without retries. */
  connect(): Promise<RedisConnection>
  /**
   * Whether a connection belongs to a cluster, where commands can go to several servers and can be
   * redirected. A feed then sends one event at a time, and does not repeat an event that was not
   * answered.
   * @defaultValue false
   */
  readonly cluster?: boolean | undefined
}

/**
 * What `redisHub` accepts: a client of `redis` (node-redis 5 or 6) or of `ioredis` (5 or 6), single
 * or cluster, or a `RedisConnector`.
 */
export type RedisClient = object

interface AnyClient {
  connect(): Promise<unknown>
  on(event: string, listener: () => void): unknown
}

interface NodeRedis extends AnyClient {
  readonly options?: { readonly socket?: object; readonly defaults?: object }
  duplicate(overrides: object): NodeRedis
  sendCommand(...args: unknown[]): Promise<unknown>
  destroy(): unknown
}

interface IoRedis extends AnyClient {
  readonly isCluster?: boolean
  readonly options?: { readonly redisOptions?: object }
  duplicate(...overrides: unknown[]): IoRedis
  call(command: string, ...args: string[]): Promise<unknown>
  disconnect(): void
}

/**
 * Recognizes a client by its methods.
 *
 * @throws {TcpSseError} `ERR_OPTION_TYPE`
 */
export function connectorOf(client: unknown, connectTimeout: number): RedisConnector {
  const has = (...methods: string[]): boolean =>
    methods.every(
      (method) => typeof (client as Record<string, unknown> | null)?.[method] === 'function',
    )
  if (typeof client === 'object' && client !== null) {
    if (has('duplicate', 'connect', 'call', 'disconnect')) {
      return ioRedis(client as IoRedis, connectTimeout)
    }
    if (has('duplicate', 'connect', 'sendCommand', 'destroy')) {
      return nodeRedis(client as NodeRedis, connectTimeout)
    }
    if (has('connect') && !has('get')) return client as RedisConnector
  }
  throw wrongType(
    'client',
    'a client of redis (node-redis 5 or 6) or ioredis (5 or 6), or an object with connect()',
    client,
  )
}

function nodeRedis(template: NodeRedis, connectTimeout: number): RedisConnector {
  const cluster = 'nodeByAddress' in template
  const { options } = template
  const timing = { reconnectStrategy: false, connectTimeout }
  const common = { RESP: 2, commandOptions: {}, maintNotifications: 'disabled' }
  const single = {
    ...common,
    socket: { ...options?.socket, ...timing },
    disableOfflineQueue: true,
    pingInterval: 0,
  }
  return {
    cluster,
    connect: () => {
      const client = template.duplicate(cluster ? { RESP: 2, commandOptions: {} } : single)
      return opened(
        client,
        () => void client.destroy(),
        (args) =>
          cluster ? client.sendCommand(keyOf(args), false, args) : client.sendCommand(args),
      )
    },
  }
}

function ioRedis(template: IoRedis, connectTimeout: number): RedisConnector {
  const cluster = template.isCluster === true
  const never = (): null => null
  const single = {
    lazyConnect: true,
    connectTimeout,
    retryStrategy: never,
    sentinelRetryStrategy: never,
    reconnectOnError: null,
    // On by default in ioredis: it would send an XADD in flight again.
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    enableAutoPipelining: false,
    maxRetriesPerRequest: null,
    commandTimeout: undefined,
    blockingTimeout: undefined,
    keyPrefix: '',
    protocol: 2,
  }
  const several = {
    lazyConnect: true,
    clusterRetryStrategy: never,
    // 0 turns it off, so that unanswered commands are not sent again.
    retryDelayOnFailover: 0,
    enableAutoPipelining: false,
    keyPrefix: '',
    redisOptions: { ...template.options?.redisOptions, connectTimeout, protocol: 2 },
  }
  return {
    cluster,
    connect: () => {
      const client = cluster ? template.duplicate([], several) : template.duplicate(single)
      return opened(
        client,
        () => client.disconnect(),
        ([name = '', ...args]) => client.call(name, ...args),
      )
    },
  }
}

async function opened(
  client: AnyClient,
  end: () => void,
  command: (args: readonly string[]) => Promise<unknown>,
): Promise<RedisConnection> {
  // The command that fails reports the same error.
  client.on('error', () => {})
  const close = (): void => {
    try {
      end()
    } catch {
      // It was already closed.
    }
  }
  try {
    await client.connect()
  } catch (error) {
    close()
    throw error
  }
  return { command: async (args) => command(args), close }
}

/** The key that determines where in a cluster a command goes. */
function keyOf(args: readonly string[]): string | undefined {
  const [name] = args
  if (name === 'XREAD') return args[args.indexOf('STREAMS') + 1]
  return name === 'XINFO' || name === 'XGROUP' ? args[2] : args[1]
}
