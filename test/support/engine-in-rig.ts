// The server's side of a rig: an engine, and a process that publishes next to it.

import { type OpenFeed, openFeed } from '../../src/testing/feed-recorder.js'
import { answer } from '../../src/testing/index.js'
import { type EngineServer, startNats, startRedis } from './engine-servers.js'
import { natsHubOver } from './nats-clients.js'
import { hubOver } from './redis-clients.js'

let server: EngineServer
let open: OpenFeed
let tokens = 0

answer({
  async start(engine: 'redis' | 'nats') {
    const redis = () => startRedis('--bind', '0.0.0.0', '--protected-mode', 'no')
    server = engine === 'redis' ? await redis() : await startNats('-a', '0.0.0.0')
    const hub = engine === 'redis' ? hubOver('node-redis 6', server.port) : natsHubOver(server.port)
    open = await openFeed(await hub, 'news', { maxEvents: 1_000 })
    return server.port
  },
  restart: () => server.restart(),
  async publish(text: string) {
    await open.feed.publish({ text, token: `token ${tokens++}` }, 20_000)
  },
  stop: () => server.stop(),
})
