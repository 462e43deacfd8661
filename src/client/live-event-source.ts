// One line for those who have npm `eventsource`.
import { type LiveFetchOptions, liveFetch } from './live-fetch.js'

/** What an `EventSource` is everywhere (HTML Standard, 9.2.2). */
export interface LiveEventSource extends EventTarget {
  /** 0 connecting, 1 open, 2 closed. */
  readonly readyState: number
  /** Where it connects to. */
  readonly url: string
  /** Whether cookies go to other origins. */
  readonly withCredentials: boolean
  /** Called when a connection has been made. */
  onopen: ((event: Event) => unknown) | null
  /** Called for events without a type. */
  onmessage: ((event: MessageEvent) => unknown) | null
  /** Called when a connection was lost or refused. */
  onerror: ((event: Event) => unknown) | null
  /** Ends it; it does not connect again. */
  close(): void
}

/** Options of `liveEventSource`: those of `liveFetch`, and the one that every `EventSource` has. */
export interface LiveEventSourceInit extends LiveFetchOptions {
  /** Whether cookies go to other origins. @defaultValue `false` */
  withCredentials?: boolean | undefined
}

/**
 * An `EventSource` over `liveFetch`: that of npm `eventsource`, which has to be installed (or be in the page's import map). It is
 * loaded at the first call, and so it comes as a promise; it has missed nothing by then.
 *
 * @throws as a rejection: `eventsource` cannot be loaded; what its constructor throws
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
