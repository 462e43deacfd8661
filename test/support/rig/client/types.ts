/** What the client program takes and tells: types only, shared by both processes. */

/**
 * How a client reads. `'all'`: at once. `'never'`: not at all, so its window fills and shuts.
 * `bytesPerSecond`: steadily, in small portions. `bytes` and `everyMs`: that much at each turn.
 */
export type ReadMode =
  | 'all'
  | 'never'
  | { readonly bytesPerSecond: number }
  | { readonly bytes: number; readonly everyMs: number }

/** How clients are opened. */
export interface OpenOptions {
  readonly host: string
  readonly port: number
  /** Default 1. */
  readonly count?: number
  /** Default `/`. */
  readonly path?: string
  /** Default `GET`. */
  readonly method?: 'GET' | 'POST'
  /** The length of the request's body, as announced. */
  readonly bodyBytes?: number
  /** How much of the body is really sent. Default: all of it. */
  readonly sendBodyBytes?: number
  readonly headers?: Readonly<Record<string, string>>
  /**
   * Client `i` binds the address `addressAt(localAddressBase, i)`. Default: the rig's client range;
   * outside the rig `127.1.0.0` for a host in `127.0.0.0/8`, else `false`: do not bind.
   */
  readonly localAddressBase?: string | false
  /** The first client's index, which is its id and its place in the range. Default: the next free. */
  readonly firstIndex?: number
  /** TLS with any certificate. */
  readonly tls?: boolean
  /** HTTP/2: over TLS, or without it by prior knowledge. */
  readonly http2?: boolean
  /** Default `'all'`. */
  readonly read?: ReadMode
  /** How many event ids each client keeps, the latest. Default 100. */
  readonly keepIds?: number
  /** How many connect at the same time. Default 100, less than a usual listen backlog. */
  readonly concurrency?: number
  /** Default 10 s. */
  readonly connectTimeoutMs?: number
}

/** What one client has seen so far. Times are `Date.now()` of the client's process. */
export interface ClientStatus {
  readonly id: number
  readonly localAddress: string | undefined
  readonly localPort: number | undefined
  readonly connectedAt: number | undefined
  /** The response's status code, once its head has been read. */
  readonly httpStatus: number | undefined
  readonly headers: Readonly<Record<string, string>>
  /**
   * Bytes read from the connection. Over TLS those after decryption, over HTTP/2 the body's: there
   * Node may have taken some tens of KB more from the kernel than the client has read.
   */
  readonly bytes: number
  /** Bytes of the response's body, without chunk sizes. */
  readonly bodyBytes: number
  readonly lastReadAt: number | undefined
  readonly events: number
  readonly comments: number
  readonly lastEventId: string
  /** The data of the latest event. */
  readonly lastData: string
  /** The latest event ids in the order of their arrival; only events that carried one. */
  readonly ids: readonly string[]
  /** True when the response's body came to its proper end. */
  readonly complete: boolean
  /** Who ended the connection; undefined while it lasts, as far as this client has noticed. */
  readonly endedBy: 'server' | 'client' | 'error' | undefined
  /** The error's code, if that ended it. */
  readonly error: string | undefined
  readonly endedAt: number | undefined
}

/** What {@link ClientMethods.waitFor} waits for: every entry given, in every client named. */
export interface WaitCondition {
  /** Default: every client. */
  readonly ids?: readonly number[]
  readonly bytes?: number
  readonly bodyBytes?: number
  readonly events?: number
  readonly comments?: number
  /** The head of the response has come. */
  readonly head?: true
  /** The connection has ended. */
  readonly ended?: true
  /** Default 10 s. */
  readonly timeoutMs?: number
}

/**
 * The methods of the client program. Where ids may be left out, every client is meant.
 *
 * A client that does not read does not notice that the connection ends, as with any program:
 * let it read to see the end.
 */
export interface ClientMethods {
  /** Opens clients; resolves with their ids when each has connected or failed (see its status). */
  open(options: OpenOptions): Promise<number[]>
  /** Resolves with the time when the condition holds; rejects at the timeout and names the laggards. */
  waitFor(condition: WaitCondition): Promise<number>
  status(ids?: readonly number[]): ClientStatus[]
  /** Changes how clients read. What was under way, at most 16 KB, is still read. */
  setRead(ids: readonly number[] | undefined, mode: ReadMode): void
  /** Sends FIN and goes on reading. HTTP/1.1 only. */
  halfClose(ids?: readonly number[]): void
  /** Sends RST. */
  reset(ids?: readonly number[]): void
  /** Closes as a process that ends does: FIN, or RST if there is something unread in the kernel. */
  close(ids?: readonly number[]): void
  /** Closes and forgets every client. */
  stop(): void
}
