import { afterAll, beforeAll, test } from 'vitest'
import { hubContract } from '../../src/testing/index.js'
import { describeWithEngine } from '../support/describe-with-engine.js'
import { type EngineServer, startRedis } from '../support/engine-servers.js'
import { hubOver, redisClientNames } from '../support/redis-clients.js'

for (const name of redisClientNames) {
  describeWithEngine('redis-server', `Redis with ${name}`, () => {
    let server: EngineServer
    beforeAll(async () => {
      server = await startRedis()
    })
    afterAll(() => server.stop())

    hubContract({
      name: 'contract',
      test: (title, run) => test(title, run),
      openHub: () => hubOver(name, server.port, { checkEvery: 1_000 }),
      interrupt: () => server.kill(),
      restore: () => server.start(),
      forget: async () => void (await server.ask('FLUSHALL')),
    })
  })
}
