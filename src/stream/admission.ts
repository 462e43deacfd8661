// Decides which requests get a stream: only as many as the limits allow, and none during a shutdown.
import type { Server, Socket } from 'node:net'
import { brand, shared } from '../internal/shared.js'
import { type Checks, checkOptions, duration, integer } from '../internal/validate.js'
import type { Refusal } from '../transport/head.js'

/** Options of `createAdmission`. */
export interface AdmissionOptions {
  /** The number of streams that may be open at the same time. */
  maxStreams: number
  /**
   * The shortest time in milliseconds for which a rejected client is asked to wait. Each client gets a random time, up
   * to twice as long, so that clients do not return together. The header `Retry-After` has whole seconds (RFC 9110,
   * 10.2.3), at least 1.
   * @defaultValue 5 000
   */
  retryAfter?: number | undefined
}

const checks: Checks<AdmissionOptions> = {
  maxStreams: integer('streams', { min: 0, max: Number.MAX_SAFE_INTEGER }),
  retryAfter: duration(),
}

const DEFAULT_RETRY_AFTER = 5_000

/**
 * A limit on the number of open streams. Made by `createAdmission`.
 *
 * @example
 * const admission = createAdmission({ maxStreams: 10_000 })
 * createEventStream(req, res, { admission })
 * console.log(admission.size)
 */
export class Admission {
  /** The number of streams that may be open at the same time. */
  readonly maxStreams: number
  readonly #retryAfter: number
  #size = 0

  /** @internal */
  constructor({ maxStreams, retryAfter = DEFAULT_RETRY_AFTER }: AdmissionOptions) {
    this.maxStreams = maxStreams
    this.#retryAfter = retryAfter
  }

  /** The number of open streams that were created with this limit. */
  get size(): number {
    return this.#size
  }

  /** @internal */
  get refusal(): Refusal | undefined {
    if (this.#size < this.maxStreams) return undefined
    return {
      reason: 'refused',
      retryAfter: secondsFrom(this.#retryAfter),
      message: 'There are too many event streams.',
    }
  }

  /** @internal */
  enter(): void {
    this.#size += 1
  }

  /** @internal */
  leave(): void {
    this.#size -= 1
  }
}

/**
 * Creates a limit for all streams that are created with it, such as those of a route, a tenant or the process. A
 * request beyond the limit is answered with 503 and `Retry-After`. Its stream is closed from the start, with reason
 * `refused`.
 *
 * @throws {TcpSseError} `ERR_OPTION_UNKNOWN`, `ERR_OPTION_TYPE`, `ERR_OPTION_VALUE`
 * @example
 * import { eventStream } from 'tcp-sse/express'
 *
 * const admission = createAdmission({ maxStreams: 10_000 })
 * app.get('/events', eventStream({ admission }), (req, res) => {
 *   res.eventStream.send({ data: 'hello' })
 * })
 */
export function createAdmission(options: AdmissionOptions): Admission {
  const given = checkOptions(options, checks, 'AdmissionOptions')
  // This option is required.
  checks.maxStreams(given.maxStreams, 'AdmissionOptions.maxStreams')
  return new Admission(given)
}

brand(Admission, 'Admission')

/** The shortest times in milliseconds for which clients are asked to wait, by what is shutting down. */
const waits: { all: number | undefined; readonly servers: WeakMap<Server, number> } = shared(
  'waits',
  () => ({ all: undefined, servers: new WeakMap() }),
)

/** From now on, requests of a server, or all requests, are answered with 503. This cannot be undone. */
export function stopAdmission(of: Server | 'all', retryAfter: number): void {
  if (of === 'all') waits.all = retryAfter
  else waits.servers.set(of, retryAfter)
}

/** The limits on the number of streams. */
export interface StreamLimits {
  readonly admission: Admission | undefined
  readonly maxStreamsPerConnection: number | false
}

/** Whether to reject a request on this connection, and how. */
export function refusalOf(
  { admission, maxStreamsPerConnection: most }: StreamLimits,
  socket: Socket | undefined,
): Refusal | undefined {
  const server = serverOf(socket)
  const retryAfter = waits.all ?? (server && waits.servers.get(server))
  if (retryAfter !== undefined) {
    const message = 'The server is shutting down.'
    return { reason: 'drained', retryAfter: secondsFrom(retryAfter), message }
  }
  if (most !== false && streamsOn(socket) >= most) {
    const message = 'There are too many event streams on this connection.'
    return { reason: 'refused', retryAfter: secondsFrom(DEFAULT_RETRY_AFTER), message }
  }
  return admission?.refusal
}

/** The property of a connection that holds its number of streams. Copies of this library share it. */
const STREAMS = Symbol.for('tcp-sse.streams')

interface Carrying {
  [STREAMS]?: number
}

/**
 * The number of open streams on a connection. It is more than one over HTTP/2, or if an HTTP/1 client pipelines
 * requests.
 */
export function streamsOn(socket: Socket | undefined): number {
  return (socket as Carrying | undefined)?.[STREAMS] ?? 0
}

/** Counts a stream that has started. */
export function enter({ admission }: StreamLimits, socket: Socket | undefined): void {
  admission?.enter()
  if (socket !== undefined) (socket as Carrying)[STREAMS] = streamsOn(socket) + 1
}

/** Removes a stream that was counted. */
export function leave({ admission }: StreamLimits, socket: Socket | undefined): void {
  admission?.leave()
  if (socket !== undefined) (socket as Carrying)[STREAMS] = streamsOn(socket) - 1
}

/** The server that accepted a connection. Node keeps it on the socket, but the types do not have it. */
export function serverOf(socket: Socket | undefined): Server | undefined {
  return (socket as { server?: Server } | undefined)?.server
}

/** A random number for each client, from `least` to twice that. */
export function jitter(least: number, random = Math.random()): number {
  return Math.round(least * (1 + random))
}

/** A random number of seconds for each client, for `Retry-After`, which takes whole seconds only (RFC 9110, 10.2.3). */
export function secondsFrom(least: number, random = Math.random()): number {
  return Math.max(1, Math.ceil(jitter(least, random) / 1_000))
}
