// One channel for both kinds of route. Next.js bundles them apart, so it is kept on the global object.
import { type Channel, createChannel, MemoryHistory } from 'tcp-sse'

const shared = globalThis as { news?: Channel }

function start(): Channel {
  const channel = createChannel({ history: new MemoryHistory() })
  let id = 0
  // Not for `next build`, which loads the module too, to wait for.
  setInterval(() => void channel.broadcast({ id: String(++id), data: { id } }), 200).unref()
  return channel
}

shared.news ??= start()
export const news = shared.news
