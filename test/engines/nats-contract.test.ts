import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { afterAll, beforeAll, test } from 'vitest'
import { hubContract } from '../../src/testing/index.js'
import { describeWithEngine } from '../support/describe-with-engine.js'
import { type EngineServer, startNats } from '../support/engine-servers.js'
import { natsHubOver } from '../support/nats-clients.js'

describeWithEngine('nats-server', 'NATS JetStream', () => {
  let server: EngineServer
  beforeAll(async () => {
    server = await startNats()
  })
  afterAll(() => server.stop())

  hubContract({
    name: 'contract',
    test: (title, run) => test(title, run),
    openHub: () => natsHubOver(server.port, { heartbeat: 500 }),
    interrupt: () => server.kill(),
    restore: () => server.start(),
    async forget() {
      const connection = await connect({ servers: `127.0.0.1:${server.port}` })
      const manager = await jetstreamManager(connection)
      await manager.streams.delete('TCP_SSE')
      await connection.close()
    },
  })
})
