// One of several servers: its clients subscribe to one channel.
import http from 'node:http'
import { createChannel, createEventStream } from '../../src/index.js'
import { answer } from '../../src/testing/index.js'
import { type EngineName, openHub } from './engine.js'

const outcomes: Record<string, number> = {}
let size = (): number => 0

answer({
  async start(engine: EngineName, enginePort: number, port: number) {
    const hub = await openHub(engine, enginePort)
    const news = createChannel({ hub, name: 'news', history: { maxEvents: 20_000 } })
    size = () => news.size
    const server = http.createServer((req, res) => {
      const subscription = news.subscribe(createEventStream(req, res, { retry: 100 }))
      void subscription.ready.then(({ replay }) => {
        outcomes[replay] = (outcomes[replay] ?? 0) + 1
      })
    })
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', 4_096, resolve))
  },
  outcomes: () => outcomes,
  size: () => size(),
})
