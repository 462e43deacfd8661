// The route for echoes, for all frameworks: it recognizes echoes, reads their small bodies and
// chooses the status.
import { callAfter } from '../internal/scheduling.js'
import { type Checks, callable, checkOptions } from '../internal/validate.js'
import { acceptEcho, type Echo, isToken } from '../stream/echo-registry.js'
import type { NodeRequest, NodeResponse } from '../transport/node-transport.js'

/** Options of `echo`. */
export interface EchoRouteOptions {
  /**
   * Called for an echo whose stream is not in this process. It asks the other processes: `true` if
   * one of them has the stream and has accepted the echo (with `acceptEcho`), `false` if all were
   * asked and none has it. After `false` the client sends no more echoes. It ends its stream once
   * no bytes have arrived for a quarter of the allowed silence. If the function throws, or takes
   * longer than 5 s, the echo is answered with 503, which clients ignore.
   * @defaultValue there is only one process: such echoes get 404, which clients ignore
   */
  lookup?: ((echo: Echo) => boolean | PromiseLike<boolean>) | undefined
}

const checks: Checks<EchoRouteOptions> = {
  lookup: callable<(echo: Echo) => boolean | PromiseLike<boolean>>(),
}

/** Maximum bytes of an echo: a token and an id. Browsers do not send back longer ids either. */
const MOST_BYTES = 2_560

/** Time limit for a body of that size, and for a lookup, in milliseconds. */
const LONGEST = 5_000

/** Maximum concurrent lookups, so that an attacker's guesses do not cause work in all processes. */
const MOST_LOOKUPS = 64

/**
 * Whether a request is an echo of `liveFetch`. Its content type is one that a form could send, so
 * there is no preflight, with a parameter that forms do not send.
 */
export function isEcho(
  method: string | undefined,
  contentType: string | null | undefined,
): boolean {
  return method === 'POST' && /^text\/plain *; *echo=1/i.test(contentType ?? '')
}

/** Answers echoes. */
export class EchoRoute {
  readonly #lookup: EchoRouteOptions['lookup']
  #lookups = 0

  /** @throws {TcpSseError} `ERR_OPTION_*` */
  constructor(options: EchoRouteOptions) {
    this.#lookup = checkOptions(options, checks, 'EchoRouteOptions').lookup
  }

  /**
   * Returns the HTTP status for a body.
   *
   * - 204: the echo was accepted.
   * - 400, 408, 413: the body is not an echo.
   * - 404: the stream is not known here.
   * - 410: the stream has ended.
   * - 429: the echo came too soon after another one.
   * - 503: the lookup was not possible, failed or took too long.
   */
  async statusOf(body: string | number): Promise<number> {
    if (typeof body === 'number') return body
    const echo = parseEcho(body)
    if (echo === undefined) return 400
    const outcome = acceptEcho(echo)
    return outcome === 'foreign' ? this.#ask(echo) : STATUS[outcome]
  }

  async #ask(echo: Echo): Promise<number> {
    if (this.#lookup === undefined) return 404
    if (this.#lookups >= MOST_LOOKUPS) return 503
    this.#lookups += 1
    let cancel: (() => void) | undefined
    try {
      const late = new Promise<undefined>((resolve) => {
        cancel = callAfter(LONGEST, () => resolve(undefined))
      })
      const found = await Promise.race([this.#lookup(echo), late])
      return found === undefined ? 503 : found ? 204 : 410
    } catch (error) {
      process.emitWarning(`The lookup of an echo failed: ${error}`, { code: 'TCP_SSE_ECHO_LOOKUP' })
      return 503
    } finally {
      cancel?.()
      this.#lookups -= 1
    }
  }
}

const STATUS = { heard: 204, limited: 429, gone: 410 } as const

function parseEcho(body: string): Echo | undefined {
  if (Buffer.byteLength(body) > MOST_BYTES) return undefined
  const [token = '', lastEventId = '', ...more] = body.split('\n')
  if (!isToken(token) || more.length > 0 || /[\0\r]/.test(lastEventId)) return undefined
  return { token, lastEventId }
}

/**
 * Reads the body of a Node request. Returns the body, or the status to answer with if it cannot be
 * read. A body parser may already have read it.
 */
export function readBody(req: NodeRequest & { body?: unknown }): string | Promise<string | number> {
  const { body } = req
  if (typeof body === 'string') return body
  if (Buffer.isBuffer(body)) return body.toString()
  if (Number(req.headers['content-length']) > MOST_BYTES) return Promise.resolve(413)
  if (req.readableEnded || req.destroyed) return Promise.resolve(400)
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let length = 0
    const settle = (result: string | number): void => {
      cancel()
      req.off('data', onData).off('end', onEnd).off('close', onClose)
      resolve(result)
    }
    const onData = (chunk: Buffer): void => {
      length += chunk.length
      if (length > MOST_BYTES) settle(413)
      else chunks.push(chunk)
    }
    const onEnd = (): void => settle(Buffer.concat(chunks).toString())
    const onClose = (): void => settle(400)
    const cancel = callAfter(LONGEST, () => settle(408))
    req.on('data', onData).on('end', onEnd).on('close', onClose)
  })
}

/**
 * Reads the body of a web request. Returns the body, or the status to answer with if it cannot be
 * read.
 */
export async function readWebBody({ body, headers }: Request): Promise<string | number> {
  if (Number(headers.get('content-length')) > MOST_BYTES) return 413
  if (body === null) return 400
  const reader = (body as ReadableStream<Uint8Array>).getReader()
  const cancel = callAfter(LONGEST, () => void reader.cancel().catch(() => {}))
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return Buffer.concat(chunks).toString()
      length += value.byteLength
      if (length > MOST_BYTES) {
        void reader.cancel().catch(() => {})
        return 413
      }
      chunks.push(value)
    }
  } catch {
    return 400
  } finally {
    cancel()
  }
}

/** The headers of a response. If the body was not read to its end, the connection is closed. */
export function echoHead(status: number, http1: boolean): Record<string, string> {
  const cut = http1 && (status === 408 || status === 413)
  return { 'cache-control': 'no-store', ...(cut ? { connection: 'close' } : {}) }
}

/** Answers an echo over a Node response. */
export async function answerEcho(
  route: EchoRoute,
  req: NodeRequest,
  res: NodeResponse,
): Promise<void> {
  const status = await route.statusOf(await readBody(req))
  if (res.headersSent || res.destroyed) return
  res.statusCode = status
  for (const [name, value] of Object.entries(echoHead(status, req.httpVersionMajor === 1))) {
    res.setHeader(name, value)
  }
  res.end()
}

/**
 * Makes the route for what clients with `liveFetch` send back to streams with the option `echo`: a
 * POST to the same URL. This function is for Node.js servers; the entry points for frameworks have
 * their own.
 *
 * The token in the body is the authorization: a client that has it has read the stream.
 *
 * @returns a function that answers echoes. It returns `true` for an echo, and `false` for other
 * requests, which the caller must answer
 * @throws {TcpSseError} `ERR_OPTION_*`
 * @example
 * import { echo } from 'tcp-sse'
 *
 * const answersEcho = echo()
 * http.createServer((req, res) => {
 *   if (answersEcho(req, res)) return
 *   createEventStream(req, res, { echo: { beat: 5_000 } })
 * })
 */
export function echo(
  options: EchoRouteOptions = {},
): (req: NodeRequest, res: NodeResponse) => boolean {
  const route = new EchoRoute(options)
  return (req, res) => {
    if (!isEcho(req.method, req.headers['content-type'])) return false
    void answerEcho(route, req, res)
    return true
  }
}
