// One server and one script of events for every client: sent live, cut off in the middle, resumed from the history.
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { Server, Socket } from 'node:net'
import {
  type Channel,
  createChannel,
  createEventStream,
  type EventInput,
  MemoryHistory,
} from '../../src/index.js'
import { listenOn } from '../support/ports.js'
import { waitFor } from '../support/wait-for.js'

/** What a client's application gets of an event. */
export interface Seen {
  type: string
  data: string
  id: string
}

/** What clients get wrong if anything: types, several lines, emptiness, other alphabets, what looks like the format itself. */
export const SCRIPT: readonly (Seen & { comment?: string })[] = [
  { type: 'message', id: '1', data: 'plain' },
  { type: 'tick', id: '2', data: '{"n":1}' },
  {
    type: 'message',
    id: '!"#$%&\'()*+,-./3:;<=>?@[\\]^_`{|}~',
    data: 'three\nlines\n',
    comment: 'data: not this',
  },
  { type: 'message', id: '4', data: '  two spaces, and a tab\t' },
  { type: 'tick', id: '5', data: 'data: x\ndata\nid: 99\n: comment\nevent: evil' },
  { type: 'message', id: 'six with spaces', data: '日本語 ❤️ 🦄 \u{10FFFF} é' },
  { type: 'message', id: '7', data: 'x'.repeat(200_000) },
  { type: 'message', id: '8', data: 'ü'.repeat(70_000), comment: '' },
  { type: 'tick', id: '9', data: '\u0001\u2028\u0085' },
  { type: 'message', id: '10', data: 'last' },
]

/** With what ids a client comes back if it is cut off as `runScript` does it. */
export const IDS_BROUGHT = ['', SCRIPT[2]?.id, SCRIPT[5]?.id]

/** The types that a client has to listen to. */
export const TYPES = ['message', 'tick']

const event = ({ type, id, data, comment }: (typeof SCRIPT)[number]): EventInput => ({
  id,
  data,
  comment,
  event: type === 'message' ? undefined : type,
})

/** What `runScript` needs of a client under test. */
export interface Client {
  readonly seen: readonly Seen[]
  close(): void | Promise<void>
}

/** HTTP/1.1, or HTTP/2 by its compatibility API. */
export type OnRequest = (req: IncomingMessage, res: ServerResponse) => void

export interface NewsServer {
  readonly url: string
  readonly channel: Channel
  /** The `Last-Event-ID` of each connection so far. */
  readonly lastEventIds: readonly string[]
  readonly port: number
  /** Sends the script: live, then a cut of each kind with events sent during each absence. */
  runScript(client: Client): Promise<void>
  close(): Promise<void>
}

/** How the server leaves: an end that was meant, a connection that breaks. */
const CUTS = ['close', 'abort'] as const

/** A server that answers requests for `/events` with the stream, and others with `other`. */
export async function newsServer(
  make: (onRequest: OnRequest) => Server = http.createServer,
  other: OnRequest = (_req, res) => res.end(),
): Promise<NewsServer> {
  const channel = createChannel({ history: new MemoryHistory() })
  const lastEventIds: string[] = []
  const server = make((req, res) => {
    if (req.url !== '/events') {
      other(req, res)
      return
    }
    const stream = createEventStream(req, res, { retry: 40 })
    lastEventIds.push(stream.lastEventId)
    stream.comment('hello')
    channel.subscribe(stream)
  })
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  const port = await listenOn(server)

  const send = async (from: number, to: number): Promise<void> => {
    for (const one of SCRIPT.slice(from, to)) await channel.broadcast(event(one))
  }
  const connections = (count: number): Promise<true> =>
    waitFor(
      `connection ${count}; so far ${JSON.stringify(lastEventIds)}`,
      () => lastEventIds.length === count && channel.size === 1,
    )
  const seen = (client: Client, count: number): Promise<true> =>
    waitFor(`event ${count}`, () => client.seen.length >= count)

  return {
    url: `http://127.0.0.1:${port}/events`,
    port,
    channel,
    lastEventIds,
    async runScript(client) {
      await connections(1)
      await send(0, 3)
      await seen(client, 3)
      let sent = 3
      for (const [index, cut] of CUTS.entries()) {
        for await (const stream of channel) {
          if (cut === 'close') void stream.close()
          else stream.abort()
        }
        await waitFor('the cut', () => channel.size === 0)
        // Sent while nobody is there: it comes from the history.
        await send(sent, sent + 2)
        await connections(2 + index)
        await send(sent + 2, sent + 3)
        sent += 3
        await seen(client, sent)
      }
      await send(sent, SCRIPT.length)
      await seen(client, SCRIPT.length)
    },
    async close() {
      await channel.close()
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
