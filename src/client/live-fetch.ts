// A `fetch` for event streams, for browsers and Node alike: it notices a server that is gone, and answers one that asks.
import { watchedBody } from './body.js'

/** Options of `liveFetch`. Times in milliseconds. */
export interface LiveFetchOptions {
  /** What fetches. @defaultValue the global `fetch` */
  fetch?: typeof globalThis.fetch | undefined
  /**
   * How long the head of an answer to GET may take. `false`: as long as it likes.
   * @defaultValue 20 000
   */
  headTimeout?: number | false | undefined
  /**
   * The longest that a request waits before it is made, after one that failed: each waits a time of its own, so that
   * clients which have lost a server together do not come back together. On top of what the client itself waits, and of a
   * `Retry-After`.
   * @defaultValue 1 000
   */
  jitter?: number | undefined
  /** Where answers to beats are sent. @defaultValue the stream's own URL, after redirects */
  echoUrl?: string | URL | undefined
}

/** A longer `Retry-After` is not believed, seconds. */
const LONGEST_WAIT = 60

/**
 * Makes a `fetch` to be handed to whatever reads an event stream: npm `eventsource`, `eventsource-client`, `fetch-event-source`, the MCP
 * SDK, a loop of your own. The bytes pass through unchanged. With a server that has the option `echo` it answers beats, so
 * that the server knows that the client is there, and ends a stream on which nothing comes any more, so that the client connects
 * again. Every other server's streams pass through as they are.
 *
 * All failures are `TypeError`s, as those of `fetch` are: 502, 503 and 504 too, and an end that the server has not announced.
 *
 * @throws {TypeError} for an option of the wrong type
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
  /** Until when another try has no use, by URL. */
  const notBefore = new Map<string, number>()

  return async (input, init = {}) => {
    const fetch = options.fetch ?? globalThis.fetch
    const controller = new AbortController()
    // A string and a URL have none of these.
    const request = input as Partial<Request>
    const { url = String(input) } = request
    const headers = new Headers(init.headers ?? request.headers)
    const given = init.signal ?? request.signal ?? controller.signal
    const signal = AbortSignal.any([given, controller.signal])
    let retryAfter = 0
    /** Lets go of what is open, and has the next try wait. */
    const onEnd = (error?: unknown): void => {
      const wait = Math.min(retryAfter, LONGEST_WAIT) * 1_000 + Math.random() * jitter
      if (error && !given.aborted) notBefore.set(url, performance.now() + wait)
      controller.abort()
    }

    await new Promise((resolve) => {
      const timer = setTimeout(resolve, (notBefore.get(url) ?? 0) - performance.now())
      // `fetch` will know what to throw.
      signal.onabort = () => resolve(clearTimeout(timer))
    })
    notBefore.delete(url)

    const timer =
      headTimeout && !(init.body ?? request.body)
        ? setTimeout(() => controller.abort(new TypeError('no answer')), headTimeout)
        : undefined
    try {
      const response = await fetch(input, { ...init, signal })
      const { status, body, headers: head } = response
      // A library may use the same `fetch` to log in: that is none of its business.
      if (status > 501 && status < 505 && /event-stream/.test(`${headers.get('accept')}`)) {
        retryAfter = Number(head.get('retry-after'))
        throw new TypeError(`status ${status}`)
      }
      if (!body || !/^text\/event-stream/.test(`${head.get('content-type')}`)) {
        return response
      }
      headers.delete('last-event-id')
      // What a form could send: no preflight. The parameter tells an echo from other requests to the URL.
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
      clearTimeout(timer)
    }
  }
}
