// A `fetch` for event streams, for browsers and Node.js. It notices a server that is gone, and
// answers beats.
import { watchedBody } from './body.js'

/** Options of `liveFetch`. Times in milliseconds. */
export interface LiveFetchOptions {
  /** The underlying `fetch`. @defaultValue the global `fetch` */
  fetch?: typeof globalThis.fetch | undefined
  /**
   * How long the response headers to a request without a body may take. `false`: no limit.
   * @defaultValue 20 000
   */
  headTimeout?: number | false | undefined
  /**
   * The longest random delay of a request after one that failed. The delay differs between clients,
   * so that clients that lost a server together do not reconnect together. It begins when
   * `fetch` is called, so it is added to the client's own delay, and to that of a `Retry-After`.
   * @defaultValue 1 000
   */
  jitter?: number | undefined
  /**
   * The URL to which the answers to beats are sent. @defaultValue the stream's own URL, after
   * redirects
   */
  echoUrl?: string | URL | undefined
}

/** A longer `Retry-After` is reduced to this, in seconds. */
const LONGEST_WAIT = 60

/**
 * Makes a `fetch` for any code that reads an event stream: npm `eventsource`, `eventsource-client`,
 * `fetch-event-source`, the MCP SDK, or your own loop. The bytes pass through unchanged. If the
 * server uses the option `echo`, the function answers beats, so that the server knows that the
 * client is there, and it ends a silent stream, so that the client reconnects. Streams of other
 * servers pass through as they are.
 *
 * All failures are `TypeError`s, like those of `fetch`. The statuses 502, 503 and 504 for an event
 * stream are failures, too. If a stream with beats ends and the server has not announced the end,
 * that is also a failure.
 * After an abort, the error is the reason of the signal.
 *
 * @throws {TypeError} if `headTimeout` or `jitter` is negative or not a number
 * @example
 * import { EventSource } from 'eventsource'
 *
 * const source = new EventSource('https://example.com/events', { fetch: liveFetch() })
 */
export function liveFetch(options: LiveFetchOptions = {}): typeof globalThis.fetch {
  const { headTimeout = 20_000, jitter = 1_000, echoUrl } = options
  if (!(Number(headTimeout) >= 0 && jitter >= 0)) {
    throw new TypeError('headTimeout, jitter')
  }
  /** The earliest time for the next request, by URL. */
  const notBefore = new Map<string, number>()

  return async (input, init = {}) => {
    const fetch = options.fetch ?? globalThis.fetch
    const controller = new AbortController()
    // A string and a URL have none of these properties.
    const request = input as Partial<Request>
    const { url = `${input}` } = request
    const headers = new Headers(init.headers ?? request.headers)
    const given = init.signal ?? request.signal ?? controller.signal
    const signal = AbortSignal.any([given, controller.signal])
    let retryAfter = 0
    /** Releases what is open, and delays the next request. */
    const onEnd = (error?: unknown): void => {
      if (error && !given.aborted) notBefore.set(url, performance.now() + retryAfter)
      controller.abort()
    }

    const earliest = notBefore.get(url)
    const left = earliest && Math.max(0, earliest - performance.now()) + Math.random() * jitter
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, left)
      // `fetch` throws the right error for an aborted signal.
      signal.onabort = () => resolve(clearTimeout(timer))
    })
    notBefore.delete(url)

    const timer =
      headTimeout &&
      !(init.body ?? request.body) &&
      setTimeout(() => controller.abort(new TypeError('no answer')), headTimeout)
    try {
      const response = await fetch(input, { ...init, signal })
      const { status, body, headers: head } = response
      // Only for event streams: a library may use the same `fetch` for other requests, such as a
      // login. Without the header, `test` gets the text 'null'.
      if (status > 501 && status < 505 && /event-stream/.test(headers.get('accept') as string)) {
        // 0 for a date.
        retryAfter = Math.min(Number(head.get('retry-after')), LONGEST_WAIT) * 1_000 || 0
        throw new TypeError(`status ${status}`)
      }
      if (!body || !/^text\/event-stream/.test(head.get('content-type') as string)) {
        return response
      }
      headers.delete('last-event-id')
      // A content type that a form could send needs no preflight. The parameter distinguishes an
      // echo from other requests to the URL.
      headers.set('content-type', 'text/plain;echo=1')
      const answer = (text: string, within: number): Promise<number> =>
        fetch(echoUrl ?? (response.url || url), {
          ...init,
          method: 'POST',
          body: text,
          headers,
          redirect: 'error',
          signal: AbortSignal.timeout(within),
        }).then(
          (response) => {
            response.body?.cancel()
            return response.status
          },
          () => 0,
        )
      const watched = new Response(watchedBody(body.getReader(), signal, answer, onEnd), response)
      return Object.defineProperties(watched, {
        url: { value: response.url },
        redirected: { value: response.redirected },
      })
    } catch (error) {
      onEnd(error)
      throw error
    } finally {
      // Does nothing without a timer.
      clearTimeout(timer as ReturnType<typeof setTimeout>)
    }
  }
}
