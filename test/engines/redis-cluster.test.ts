// Three masters: channels lie on all of them, and a feed's events stay in order.
import { Cluster } from 'ioredis'
import { createCluster } from 'redis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { redisHub } from '../../src/hub/redis/index.js'
import { openFeed } from '../../src/testing/feed-recorder.js'
import { describeWithEngine } from '../support/describe-with-engine.js'
import { type EngineServer, startRedis } from '../support/engine-servers.js'
import { waitFor } from '../support/wait-for.js'

const SLOTS = ['0 5460', '5461 10922', '10923 16383']
const OPTIONS = { partitions: 8, blockFor: 400, answerWithin: 1_000 }

const clients = {
  'node-redis 6': (port: number): object =>
    createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${port}` }] }),
  'ioredis 6': (port: number): object =>
    new Cluster([{ host: '127.0.0.1', port }], { lazyConnect: true }),
}

describeWithEngine('redis-server', 'Redis Cluster', () => {
  let servers: EngineServer[] = []
  beforeAll(async () => {
    servers = await Promise.all(SLOTS.map(() => startRedis('--cluster-enabled', 'yes')))
    for (const [index, server] of servers.entries()) {
      await server.ask(`CLUSTER ADDSLOTSRANGE ${SLOTS[index]}`)
      await server.ask(`CLUSTER MEET 127.0.0.1 ${servers[0]?.port}`)
    }
    for (const server of servers) {
      const ready = async () => {
        const info = await server.ask('CLUSTER INFO')
        return info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3')
      }
      await waitFor('the cluster', ready, 15_000)
    }
  })
  afterAll(async () => {
    for (const server of servers) await server.stop()
  })

  for (const [name, clientOf] of Object.entries(clients)) {
    test(`with ${name}: channels lie on all servers, and each event is once and in order`, async () => {
      const [hub, other] = [0, 1].map(() => redisHub(clientOf(servers[0]?.port ?? 0), OPTIONS))
      if (hub === undefined || other === undefined) throw new Error('no hubs')
      try {
        const names = Array.from({ length: 24 }, (_, index) => `${name} channel ${index}`)
        const keep = { maxEvents: 1_000 }
        const here = await Promise.all(names.map((each) => openFeed(hub, each, keep)))
        const there = await Promise.all(names.map((each) => openFeed(other, each, keep)))
        const texts = Array.from({ length: 20 }, (_, index) => `event ${index}`)
        await Promise.all(
          here.flatMap(({ feed }, index) =>
            texts.map((text) => feed.publish({ text, token: `${name} ${index} ${text}` }, 10_000)),
          ),
        )
        for (const { heard, feed } of there) {
          await heard.until('all', () => heard.entries.length >= texts.length)
          expect(heard.texts).toEqual(texts)
          const upTo = heard.entries.at(-1)?.position ?? ''
          const request = { after: heard.startedAt ?? '', upTo, limit: 100, timeout: 5_000 }
          const page = await feed.read(request)
          expect(page.entries.map(({ text }) => text)).toEqual(texts)
        }
        for (const server of servers) expect(await server.ask('DBSIZE')).not.toBe(':0\r\n')
      } finally {
        await hub.close()
        await other.close()
      }
    })
  }

  test('with node-redis: a master that is restarted costs time and no event', async () => {
    const hub = redisHub(clients['node-redis 6'](servers[0]?.port ?? 0), OPTIONS)
    try {
      const names = Array.from({ length: 8 }, (_, index) => `restarted ${index}`)
      const feeds = await Promise.all(names.map((each) => openFeed(hub, each, { maxEvents: 100 })))
      await servers[2]?.restart()
      const publish = async (index: number, text: string): Promise<void> => {
        const feed = feeds[index]?.feed
        await feed
          ?.publish({ text, token: `again ${index} ${text}` }, 10_000)
          .catch(() => publish(index, text))
      }
      await Promise.all(feeds.map((_, index) => publish(index, 'event')))
      for (const { heard } of feeds) {
        await heard.until('it', () => heard.entries.length > 0)
        expect(heard.gaps).toEqual([])
      }
    } finally {
      await hub.close()
    }
  })
})
