// Clients as a test holds them: the same in a rig and on loopback, as far as loopback can.
import { TcpSseError } from '../internal/errors.js'
import { Reader, type Reading, type Received } from './reader.js'
import { requestFor } from './request.js'

/** A client that misbehaves when it is told to. */
export interface TestClient {
  /** What has come so far. */
  received(): Promise<Received>

  /** Changes how it reads. The first read after a change may be as large as those before. */
  read(reading: Reading): Promise<void>

  /** Reads nothing from now on: what comes fills its kernel's window, then the server's queue. */
  stall(): Promise<void>

  /** Sends FIN and reads on, as a client does that has sent all it had to say. */
  halfClose(): Promise<void>

  /** Sends RST. */
  reset(): Promise<void>

  /** Closes properly. The kernel sends RST in place of FIN if bytes lie there unread. */
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
  /** Sends a POST with so many bytes of body, of which a server may read as much as it likes. @defaultValue GET */
  body?: number | undefined
}

/**
 * A client on loopback, in this process. It can do everything but vanish: it has no kernel of its own, and ours answers
 * for it. See `vanish`.
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

  /** The client's own port, by which a server can tell it from others. */
  get port(): number {
    return this.#reader.socket.localPort ?? 0
  }

  async received(): Promise<Received> {
    return this.#reader.received
  }

  async read(reading: Reading): Promise<void> {
    this.#reader.read(reading)
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
   * As much of a disappearance as loopback has: it reads nothing more, says nothing more and sends no FIN. But this
   * machine's kernel acknowledges what comes until the window is full, and answers keepalive and window probes for ever.
   * So a server sees a client that is `stalled`, at the earliest `stallTimeout` after its window has filled; never one that
   * is `peer-dead`. An idle server sees nothing at all. For the real thing take a rig.
   */
  async vanish(): Promise<void> {
    await this.stall()
  }
}

/**
 * Connects a client to a server on this machine, and asks for an event stream.
 *
 * @param url - `http:` or `https:` (the certificate is not checked), on a loopback address
 * @throws {TcpSseError} `ERR_OPTION_VALUE`, as a rejection, for other URLs; what `connect` throws passes through
 * @example
 * const client = await connectClient('http://127.0.0.1:8080/events', { read: 'never' })
 */
export async function connectClient(
  url: string | URL,
  options: ConnectOptions = {},
): Promise<LoopbackClient> {
  const { protocol, hostname, port, pathname, search } = loopbackUrl(url)
  const secure = protocol === 'https:'
  const target = {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port) || (secure ? 443 : 80),
    secure: secure ? ('http/1.1' as const) : undefined,
  }
  const reader = new Reader(target, options.read ?? 'all')
  await reader.connected()
  const { path = pathname + search, headers = {}, body } = options
  reader.socket.write(requestFor(path, headers, body))
  if (body !== undefined) reader.socket.write(Buffer.alloc(body))
  return new LoopbackClient(reader)
}

/** A tool that resets and stalls connections is kept from other people's servers. */
function loopbackUrl(url: string | URL): URL {
  const parsed = URL.canParse(String(url)) ? new URL(String(url)) : undefined
  const fits =
    parsed !== undefined &&
    /^https?:$/.test(parsed.protocol) &&
    /^(localhost|127(\.\d+){3}|\[::1\])$/.test(parsed.hostname)
  if (fits) return parsed
  throw new TcpSseError(
    'ERR_OPTION_VALUE',
    `connectClient takes an http: or https: URL on loopback, not '${url}'.`,
    { option: 'url' },
  )
}
