// One channel for both kinds of routes. Next.js bundles them separately, so the channel is kept on
// the global object.
import { type Channel, createChannel, MemoryHistory } from 'tcp-sse'

const shared = globalThis as { news?: Channel }

function start(): Channel {
  const channel = createChannel({ history: new MemoryHistory() })
  let id = 0
  // Unreferenced, because `next build` loads this module, too, and must not wait for the timer.
  setInterval(() => void channel.broadcast({ id: String(++id), data: { id } }), 200).unref()
  return channel
}

shared.news ??= start()
export const news = shared.news
