// The route of the echoes, whatever the framework: which requests they are, their small bodies, the answers.
import { callAfter } from '../internal/scheduling.js'
import { type Checks, callable, checkOptions } from '../internal/validate.js'
import { acceptEcho, type Echo, isToken } from '../stream/echo-registry.js'
import type { NodeRequest, NodeResponse } from '../transport/node-transport.js'

/** Options of `echo`. */
export interface EchoRouteOptions {
  /**
   * Asked about an echo whose stream is not this process's: whether another one has it, and has got the echo (by `acceptEcho`).
   * Only when all others have been asked is `false` true: the client then gives its stream up. One that fails, or takes longer than
   * 5 s, has found nothing out.
   * @defaultValue there is one process: such echoes are 404, which clients ignore
   */
  lookup?: ((echo: Echo) => boolean | PromiseLike<boolean>) | undefined
}

const checks: Checks<EchoRouteOptions> = {
  lookup: callable<(echo: Echo) => boolean | PromiseLike<boolean>>(),
}

/** A token and an id, of which browsers send no longer ones back either. */
const MOST_BYTES = 2_560

/** A body of that size takes no longer, and a question to other processes neither, ms. */
const LONGEST = 5_000

/** Questions to other processes at a time: an attacker's guesses must not become everybody's work. */
const MOST_LOOKUPS = 64

/** What `liveFetch` sends: what a form could send, so no preflight, with a parameter that no form has. */
export function isEcho(
  method: string | undefined,
  contentType: string | null | undefined,
): boolean {
  return method === 'POST' && /^text\/plain *; *echo=1/i.test(contentType ?? '')
}

/** Answers echoes: the HTTP status for a body. */
export class EchoRoute {
  readonly #lookup: EchoRouteOptions['lookup']
  #lookups = 0

  /** @throws {TcpSseError} `ERR_OPTION_*` */
  constructor(options: EchoRouteOptions) {
    this.#lookup = checkOptions(options, checks, 'EchoRouteOptions').lookup
  }

  /**
   * - 204: heard. 429: it came too soon after another one. 410: the stream has ended, the client need not wait for it.
   * - 400, 408, 413: no echo. 404: nothing is known of this stream. 503: nothing could be found out.
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

/** The body of a request of Node's, or the status of the answer where it is none. A body parser may have been there before. */
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

/** The same of a web request. */
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

/** The headers of an answer. A body that is not read to its end goes with its connection. */
export function echoHead(status: number, http1: boolean): Record<string, string> {
  const cut = http1 && (status === 408 || status === 413)
  return { 'cache-control': 'no-store', ...(cut ? { connection: 'close' } : {}) }
}

/** Answers an echo over a response of Node's. */
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
 * The route for what clients with `liveFetch` send back to streams that have the option `echo`: the same URL with POST. For
 * servers of Node; the frameworks' entry points have one each.
 *
 * The token in the body is the authorisation: whoever has it has read the stream.
 *
 * @returns what answers the echoes: `true` for one, and everything else is the caller's to answer
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
