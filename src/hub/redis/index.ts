/**
 * Channels of several processes over Redis or Valkey Streams.
 *
 * @packageDocumentation
 */
export type * from '../hub.js'
export type { RedisClient, RedisConnection, RedisConnector } from './connector.js'
export type { RedisHubOptions } from './options.js'
export { redisHub } from './redis-hub.js'
