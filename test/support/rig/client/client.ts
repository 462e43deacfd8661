/** One client: its connection, and what it has seen on it. */
import type { Socket } from 'node:net'
import { type Connection, openHttp1, openHttp2, type Request } from './connection.js'
import { SseTally } from './sse-tally.js'
import type { ClientStatus, ReadMode, WaitCondition } from './types.js'

/** How a {@link Client} is opened. */
export interface ClientOptions {
  readonly id: number
  readonly request: Request
  readonly http2: boolean
  readonly read: ReadMode
  readonly keepIds: number
  readonly connectTimeoutMs: number
}

/** A client that is connecting, connected or over. */
export class Client {
  readonly id: number
  /** Settles when the client has connected or failed. Never rejects. */
  readonly settled: Promise<void>
  readonly connection: Connection
  readonly #localAddress: string | undefined
  readonly #tally: SseTally
  #localPort: number | undefined
  #connectedAt: number | undefined
  #httpStatus: number | undefined
  #headers: Record<string, string> = {}
  #bytes = 0
  #bodyBytes = 0
  #lastReadAt: number | undefined
  #complete = false
  #end: { by: 'server' | 'client' | 'error'; error: string | undefined; at: number } | undefined

  constructor(options: ClientOptions) {
    const { id, request, http2, read, keepIds, connectTimeoutMs } = options
    this.id = id
    this.#localAddress = request.localAddress
    this.#tally = new SseTally(keepIds)
    let settle = () => {}
    this.settled = new Promise((resolve) => {
      settle = resolve
    })
    const open = http2 ? openHttp2 : openHttp1
    this.connection = open(request, read, {
      connected: (socket: Socket) => {
        clearTimeout(timer)
        this.#connectedAt = Date.now()
        this.#localPort = socket.localPort
        settle()
      },
      read: (bytes) => {
        this.#bytes += bytes
        this.#lastReadAt = Date.now()
      },
      head: (status, headers) => {
        this.#httpStatus = status
        this.#headers = headers
      },
      body: (piece) => {
        this.#bodyBytes += piece.length
        this.#tally.write(piece)
      },
      complete: () => {
        this.#complete = true
      },
      ended: (by, error) => {
        clearTimeout(timer)
        this.#end ??= { by, error: error && (error.code ?? error.message), at: Date.now() }
        settle()
      },
    })
    const timer = setTimeout(() => {
      const error: NodeJS.ErrnoException = new Error('not connected in time')
      error.code = 'CONNECT_TIMEOUT'
      this.connection.fail(error)
    }, connectTimeoutMs)
  }

  /** Whether this client has seen all that the condition asks for. */
  meets(condition: WaitCondition): boolean {
    return (
      this.#bytes >= (condition.bytes ?? 0) &&
      this.#bodyBytes >= (condition.bodyBytes ?? 0) &&
      this.#tally.events >= (condition.events ?? 0) &&
      this.#tally.comments >= (condition.comments ?? 0) &&
      (condition.head === undefined || this.#httpStatus !== undefined) &&
      (condition.ended === undefined || this.#end !== undefined)
    )
  }

  status(): ClientStatus {
    return {
      id: this.id,
      localAddress: this.#localAddress,
      localPort: this.#localPort,
      connectedAt: this.#connectedAt,
      httpStatus: this.#httpStatus,
      headers: this.#headers,
      bytes: this.#bytes,
      bodyBytes: this.#bodyBytes,
      lastReadAt: this.#lastReadAt,
      events: this.#tally.events,
      comments: this.#tally.comments,
      lastEventId: this.#tally.lastEventId,
      lastData: this.#tally.lastData,
      ids: this.#tally.ids,
      complete: this.#complete,
      endedBy: this.#end?.by,
      error: this.#end?.error,
      endedAt: this.#end?.at,
    }
  }
}
