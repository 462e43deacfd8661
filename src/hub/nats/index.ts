/**
 * Channels of several processes over NATS JetStream.
 *
 * @packageDocumentation
 */
export type * from '../hub.js'
export type { JetStreamAck, JetStreamLike } from './client.js'
export { natsHub } from './nats-hub.js'
export type { NatsHubOptions } from './options.js'
