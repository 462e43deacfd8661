/**
 * The client side of `echo`, for browsers and Node.js, without dependencies.
 *
 * @packageDocumentation
 */
export {
  type LiveEventSource,
  type LiveEventSourceInit,
  liveEventSource,
} from './live-event-source.js'
export { type LiveFetchOptions, liveFetch } from './live-fetch.js'
