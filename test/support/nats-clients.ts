import { jetstream } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import type { Hub } from '../../src/hub/hub.js'
import { type NatsHubOptions, natsHub } from '../../src/hub/nats/index.js'

/** A hub as another process would have it, with a connection of its own that goes with it. */
export async function natsHubOver(port: number, options?: NatsHubOptions): Promise<Hub> {
  const connection = await connect({
    servers: `nats://127.0.0.1:${port}`,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
  })
  const hub = natsHub(jetstream(connection), options)
  return {
    scope: hub.scope,
    open: (...args) => hub.open(...args),
    close: async () => {
      await hub.close()
      await connection.close()
    },
  }
}
