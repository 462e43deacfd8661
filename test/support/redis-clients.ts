// The client libraries, each as a user makes a client: nothing is set that concerns the hub.
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import type { Hub } from '../../src/hub/hub.js'
import { type RedisHubOptions, redisHub } from '../../src/hub/redis/index.js'

/** By name: from a port of this machine to a client that is not connected. */
export const redisClients = {
  'node-redis 6': (port: number): object => createClient({ url: `redis://127.0.0.1:${port}` }),
  'ioredis 6': (port: number): object => new Redis({ port, lazyConnect: true }),
} as const

export type RedisClientName = keyof typeof redisClients

export const redisClientNames = Object.keys(redisClients) as RedisClientName[]

/** A hub as another process would have it. */
export function hubOver(name: RedisClientName, port: number, options?: RedisHubOptions): Hub {
  return redisHub(redisClients[name](port), options)
}
