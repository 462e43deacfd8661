// The demo's server: the same events for all clients, and the dashboard. It runs in the rig, so the
// dashboard listens on a Unix socket, which does not depend on network namespaces.
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { createEventStream, type EventStream } from 'tcp-sse'
import { dashboard } from 'tcp-sse/dashboard'
import { answer } from 'tcp-sse/testing'

/** What the parent receives: a click on a button, or the end of a client's stream. */
export interface News {
  readonly client: number
  readonly action: Action | 'ended'
}

export const ACTIONS = [
  'vanish',
  'stall',
  'read slowly',
  'lose packets',
  'half-close',
  'resume',
] as const
export type Action = (typeof ACTIONS)[number]

/** The settings of the demo. */
export interface Setting {
  readonly detectWithin: number
  readonly stallTimeout: number
  /** The size of each event, and the milliseconds between two events. */
  readonly bytes: number
  readonly everyMs: number
  /** Where the dashboard listens. */
  readonly path: string
}

interface About {
  readonly client: number
  readonly label: string
}

const about = new WeakMap<EventStream, About>()
const waiting: ((news: News) => void)[] = []
const untold: News[] = []

function tell(news: News): void {
  const next = waiting.shift()
  if (next === undefined) untold.push(news)
  else next(news)
}

function serve(setting: Setting): http.Server {
  const { detectWithin, stallTimeout, bytes, everyMs } = setting
  const data = 'x'.repeat(bytes)
  return http.createServer((req, res) => {
    const client = Number(new URL(req.url ?? '/', 'http://x').searchParams.get('client'))
    const uploads = req.method === 'POST'
    // Like a handler that answers before it has read the upload. Node cannot see a FIN behind the
    // unread body; the kernel can.
    if (uploads) req.pause()
    const label = `client ${client}, ${req.socket.remoteAddress}${uploads ? ', uploads' : ''}`
    const stream = createEventStream(req, res, { detectWithin, stallTimeout })
    about.set(stream, { client, label })
    let id = 0
    const timer = setInterval(() => {
      if (stream.buffered().pending < 4 * bytes) stream.send({ id: ++id, data })
    }, everyMs)
    void stream.closed.then(() => {
      clearInterval(timer)
      tell({ client, action: 'ended' })
    })
  })
}

const act = (action: Action) => (stream: EventStream) =>
  tell({ client: about.get(stream)?.client ?? -1, action })

answer({
  /** Starts both servers. Returns the port of the event streams. */
  async listen(setting: Setting) {
    const server = serve(setting)
    const page = dashboard({
      describe: (stream) => about.get(stream)?.label,
      actions: Object.fromEntries(ACTIONS.map((each) => [each, act(each)])),
      interval: 500,
    })
    await new Promise<void>((resolve) => http.createServer(page).listen(setting.path, resolve))
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve))
    return (server.address() as AddressInfo).port
  },
  /** Waits for the next event. */
  news: () => untold.shift() ?? new Promise<News>((resolve) => waiting.push(resolve)),
})
