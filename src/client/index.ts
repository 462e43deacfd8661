/**
 * The client's half of `echo`: for browsers and Node, without dependencies.
 *
 * @packageDocumentation
 */
export {
  type LiveEventSource,
  type LiveEventSourceInit,
  liveEventSource,
} from './live-event-source.js'
export { type LiveFetchOptions, liveFetch } from './live-fetch.js'
