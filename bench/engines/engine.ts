// The engine of a run, and a hub over it.
import { jetstream } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { createClient } from 'redis'
import type { Hub } from '../../src/hub/hub.js'
import { natsHub } from '../../src/hub/nats/index.js'
import { redisHub } from '../../src/hub/redis/index.js'

export type EngineName = 'redis' | 'nats'

/** A hub as a user makes it, with the defaults. */
export async function openHub(engine: EngineName, port: number): Promise<Hub> {
  if (engine === 'redis') return redisHub(createClient({ url: `redis://127.0.0.1:${port}` }))
  const servers = `nats://127.0.0.1:${port}`
  return natsHub(jetstream(await connect({ servers, maxReconnectAttempts: -1 })))
}
