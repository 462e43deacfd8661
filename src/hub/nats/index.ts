/**
 * Channels of several processes over NATS JetStream.
 *
 * @packageDocumentation
 */
export type {
  Entry,
  Feed,
  FeedListener,
  FeedState,
  Hub,
  Keep,
  NewEntry,
  Page,
  Position,
  ReadRequest,
} from '../hub.js'
export type { JetStreamAck, JetStreamLike } from './client.js'
export { natsHub } from './nats-hub.js'
export type { NatsHubOptions } from './options.js'
