// The clients' side of a rig: a process whose way to the engine can be cut.

import { jetstream } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { createClient } from 'redis'
import { natsHub } from '../../src/hub/nats/index.js'
import { redisHub } from '../../src/hub/redis/index.js'
import { type OpenFeed, openFeed } from '../../src/testing/feed-recorder.js'
import { answer } from '../../src/testing/index.js'

let open: OpenFeed

answer({
  async open(engine: 'redis' | 'nats', host: string, port: number) {
    const servers = `nats://${host}:${port}`
    const hub =
      engine === 'redis'
        ? redisHub(createClient({ url: `redis://${host}:${port}` }))
        : natsHub(jetstream(await connect({ servers, maxReconnectAttempts: -1 })))
    open = await openFeed(hub, 'news', { maxEvents: 1_000 })
  },
  heard: () => ({ texts: open.heard.texts, gaps: open.heard.gaps.length }),
})
