// Who gets a stream: not more than there is room for, and nobody while the server goes.
import type { Server, Socket } from 'node:net'
import { brand, shared } from '../internal/shared.js'
import { type Checks, checkOptions, duration, integer } from '../internal/validate.js'
import type { Refusal } from '../transport/head.js'

/** Options of `createAdmission`. */
export interface AdmissionOptions {
  /** Streams that may be open at the same time. */
  maxStreams: number
  /**
   * The least that a client which is turned away is asked to wait, milliseconds. Each is told a time of its own, up to
   * twice as long, so that they do not come back together.
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
  /** Streams that may be open at the same time. */
  readonly maxStreams: number
  readonly #retryAfter: number
  #size = 0

  /** @internal */
  constructor({ maxStreams, retryAfter = DEFAULT_RETRY_AFTER }: AdmissionOptions) {
    this.maxStreams = maxStreams
    this.#retryAfter = retryAfter
  }

  /** How many streams are open under it. */
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
 * Makes a limit that all streams share which are created with it: of a route, a tenant, or the process. A request beyond
 * it is answered with 503 and `Retry-After`, and its stream is closed from the start, with reason `refused`.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`
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
  // The one option that has no default.
  checks.maxStreams(given.maxStreams, 'AdmissionOptions.maxStreams')
  return new Admission(given)
}

brand(Admission, 'Admission')

/** The least milliseconds that clients are asked to wait, by what goes away. */
const waits: { all: number | undefined; readonly servers: WeakMap<Server, number> } = shared(
  'waits',
  () => ({ all: undefined, servers: new WeakMap() }),
)

/** From now on requests are answered with 503: those of a server, or all. There is no way back. */
export function stopAdmission(of: Server | 'all', retryAfter: number): void {
  if (of === 'all') waits.all = retryAfter
  else waits.servers.set(of, retryAfter)
}

/** What limits the number of streams. */
export interface StreamLimits {
  readonly admission: Admission | undefined
  readonly maxStreamsPerConnection: number | false
}

/** Whether, and how, a request on this connection is to be turned away. */
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

/** How many streams a connection carries, kept on the connection itself and shared with other copies of this library. */
const STREAMS = Symbol.for('tcp-sse.streams')

interface Carrying {
  [STREAMS]?: number
}

/** Open streams on a connection: more than one over HTTP/2, or where an HTTP/1 client sends requests ahead. */
export function streamsOn(socket: Socket | undefined): number {
  return (socket as Carrying | undefined)?.[STREAMS] ?? 0
}

/** A stream has begun. */
export function enter({ admission }: StreamLimits, socket: Socket | undefined): void {
  admission?.enter()
  if (socket !== undefined) (socket as Carrying)[STREAMS] = streamsOn(socket) + 1
}

/** A stream that has entered is over. */
export function leave({ admission }: StreamLimits, socket: Socket | undefined): void {
  admission?.leave()
  if (socket !== undefined) (socket as Carrying)[STREAMS] = streamsOn(socket) - 1
}

/** The server that has accepted a connection. Node keeps it on the socket; its types do not say so. */
export function serverOf(socket: Socket | undefined): Server | undefined {
  return (socket as { server?: Server } | undefined)?.server
}

/** A number of its own for each client, from the least to twice that. */
export function jitter(least: number, random = Math.random()): number {
  return Math.round(least * (1 + random))
}

/** A number of its own for each, for `Retry-After`, which knows whole seconds only (RFC 9110, 10.2.3). */
export function secondsFrom(least: number, random = Math.random()): number {
  return Math.max(1, Math.ceil(jitter(least, random) / 1_000))
}
