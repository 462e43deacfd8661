// An EventSource over `liveFetch`, for applications that use npm `eventsource`.
import { type LiveFetchOptions, liveFetch } from './live-fetch.js'

/** The standard interface of an `EventSource` (HTML Standard, 9.2.2). */
export interface LiveEventSource extends EventTarget {
  /** 0 connecting, 1 open, 2 closed. */
  readonly readyState: number
  /** The URL of the stream. */
  readonly url: string
  /** Whether credentials are sent to other origins. */
  readonly withCredentials: boolean
  /** Called when a connection was made. */
  onopen: ((event: Event) => unknown) | null
  /** Called for events without a type. */
  onmessage: ((event: MessageEvent) => unknown) | null
  /** Called when a connection was lost or refused. */
  onerror: ((event: Event) => unknown) | null
  /** Closes the connection and does not reconnect. */
  close(): void
}

/** Options of `liveEventSource`: those of `liveFetch`, and the standard one of `EventSource`. */
export interface LiveEventSourceInit extends LiveFetchOptions {
  /** Whether credentials are sent to other origins. @defaultValue `false` */
  withCredentials?: boolean | undefined
}

/**
 * Makes an `EventSource` over `liveFetch`: that of npm `eventsource`, which must be installed (or
 * be in the page's import map). The package is loaded at the first call, so the result is a
 * promise. No event is missed before it resolves.
 *
 * @throws as a rejection: the error of loading `eventsource`, of its constructor, or of `liveFetch`
 * @example
 * const source = await liveEventSource('https://example.com/events')
 * source.onmessage = ({ data }) => console.log(data)
 */
export async function liveEventSource(
  url: string | URL,
  init: LiveEventSourceInit = {},
): Promise<LiveEventSource> {
  const { withCredentials = false, ...options } = init
  const { EventSource } = await import('eventsource')
  return new EventSource(url, { withCredentials, fetch: liveFetch(options) }) as LiveEventSource
}
