// The interface of test clients, the same in a rig and on loopback as far as possible.
import { TcpSseError } from '../internal/errors.js'
import { type Checks, checkOptions, integer, wrongType } from '../internal/validate.js'
import { checkReading, Reader, type Reading, type Received } from './reader.js'
import { requestFor } from './request.js'

/** A client that misbehaves on request. */
export interface TestClient {
  /** What it has received so far. */
  received(): Promise<Received>

  /** Changes how it reads. The first read after a change may be as large as earlier ones. */
  read(reading: Reading): Promise<void>

  /**
   * Stops reading. Incoming data then fills its kernel's window, and after that the server's queue.
   */
  stall(): Promise<void>

  /** Sends FIN and reads on, like a client that has nothing more to send. */
  halfClose(): Promise<void>

  /** Sends RST. */
  reset(): Promise<void>

  /**
   * Closes the connection properly. If bytes are unread, the kernel sends RST in place of FIN
   * (RFC 1122, 4.2.2.13).
   */
  close(): Promise<void>
}

/** Options of `connectClient`, and of a rig's `connect`. */
export interface ConnectOptions {
  /** The path, with its query. @defaultValue that of the URL, or `'/'` */
  path?: string | undefined
  /** Further request headers, such as `last-event-id` or a cookie. */
  headers?: Readonly<Record<string, string>> | undefined
  /** How it reads. @defaultValue `'all'` */
  read?: Reading | undefined
  /**
   * Sends a POST with a body of this many bytes. The server may read any part of it. @defaultValue
   * GET
   */
  body?: number | undefined
}

const connectChecks: Checks<ConnectOptions> = {
  path: (value, name) => {
    if (typeof value !== 'string' || !/^\/\S*$/.test(value)) {
      throw wrongType(name, "a path, as in '/events?room=1'", value)
    }
    return value
  },
  headers: (value, name) => {
    if (typeof value !== 'object' || value === null) throw wrongType(name, 'an object', value)
    return value as Readonly<Record<string, string>>
  },
  read: checkReading,
  body: integer('bytes', { min: 0, max: 2 ** 30 }),
}

/**
 * Checks options of a connection.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`
 */
export function checkConnectOptions(options: ConnectOptions): ConnectOptions {
  return checkOptions(options, connectChecks, 'ConnectOptions')
}

/**
 * A client on loopback, in this process. It cannot truly vanish, because it shares its kernel with
 * the server, and that kernel answers for it. See `vanish`.
 *
 * @example
 * const client = await connectClient(`http://127.0.0.1:${port}/events`)
 * await client.stall()
 * console.log((await client.received()).ids)
 */
export class LoopbackClient implements TestClient {
  readonly #reader: Reader

  /** @internal */
  constructor(reader: Reader) {
    this.#reader = reader
  }

  /** The client's own port, by which a server can identify it. */
  get port(): number {
    return this.#reader.socket.localPort ?? 0
  }

  async received(): Promise<Received> {
    return this.#reader.received
  }

  async read(reading: Reading): Promise<void> {
    this.#reader.read(checkReading(reading, 'reading'))
  }

  async stall(): Promise<void> {
    this.#reader.read('never')
  }

  async halfClose(): Promise<void> {
    this.#reader.socket.end()
  }

  async reset(): Promise<void> {
    this.#reader.socket.resetAndDestroy()
  }

  async close(): Promise<void> {
    this.#reader.socket.destroy()
  }

  /**
   * Approximates a disappearance on loopback: the client reads and sends nothing more, not even
   * FIN. But this machine's kernel acknowledges data until the window is full, and always answers
   * keepalive and window probes. So a server sees a client that is `stalled`, at the earliest
   * `stallTimeout` after its window has filled, and never one that is `peer-dead`. An idle server
   * sees nothing. To test a true disappearance, use a rig.
   */
  async vanish(): Promise<void> {
    await this.stall()
  }
}

/**
 * Connects a client to a server on this machine, and asks for an event stream.
 *
 * @param url - `http:` or `https:` (the certificate is not checked), on a loopback address
 * @throws {TcpSseError} `ERR_OPTION_VALUE`, as a rejection, for other URLs. Errors of the
 * connection pass through
 * @example
 * const client = await connectClient('http://127.0.0.1:8080/events', { read: 'never' })
 */
export async function connectClient(
  url: string | URL,
  options: ConnectOptions = {},
): Promise<LoopbackClient> {
  const { protocol, hostname, port, pathname, search } = loopbackUrl(url)
  const {
    path = pathname + search,
    headers = {},
    read = 'all',
    body,
  } = checkConnectOptions(options)
  const secure = protocol === 'https:'
  const target = {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port) || (secure ? 443 : 80),
    secure: secure ? ('http/1.1' as const) : undefined,
  }
  const reader = new Reader(target, read)
  await reader.connected()
  reader.socket.write(requestFor(path, headers, body))
  if (body !== undefined) reader.socket.write(Buffer.alloc(body))
  return new LoopbackClient(reader)
}

/**
 * Accepts loopback addresses only, because the client resets and stalls connections, and must not
 * do so to other people's servers.
 */
function loopbackUrl(url: string | URL): URL {
  const parsed = URL.canParse(String(url)) ? new URL(String(url)) : undefined
  const fits =
    parsed !== undefined &&
    /^https?:$/.test(parsed.protocol) &&
    /^(localhost|127(\.\d+){3}|\[::1\])$/.test(parsed.hostname)
  if (fits) return parsed
  throw new TcpSseError(
    'ERR_OPTION_VALUE',
    `connectClient needs an http: or https: URL on a loopback address, not '${url}'.`,
    { option: 'url' },
  )
}
