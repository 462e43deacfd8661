// A server of ours with echoes, and what the tests of it need.
import http from 'node:http'
import type { Socket } from 'node:net'
import {
  type CloseInfo,
  createEventStream,
  type EchoRouteOptions,
  type EventStream,
  type EventStreamOptions,
  echo,
} from '../../src/index.js'
import { listenOn } from './ports.js'
import { waitFor } from './wait-for.js'

export interface EchoServer {
  readonly port: number
  readonly url: string
  readonly streams: EventStream[]
  readonly ends: CloseInfo[]
  /** The statuses with which echoes were answered. */
  readonly answers: number[]
  /** Waits for the stream with that number, from 0. */
  stream(index: number): Promise<EventStream>
  /** From now on echoes are not answered (their connections wait). */
  deaf: boolean
  close(): void
}

export async function echoServer(
  options: EventStreamOptions = { echo: { beat: 200, silence: 800 } },
  route: EchoRouteOptions = {},
): Promise<EchoServer> {
  const answersEcho = echo(route)
  const streams: EventStream[] = []
  const ends: CloseInfo[] = []
  const answers: number[] = []
  const sockets = new Set<Socket>()
  const server = http.createServer((req, res) => {
    if (self.deaf && req.method === 'POST') return
    res.on('finish', () => req.method === 'POST' && answers.push(res.statusCode))
    if (answersEcho(req, res)) return
    const stream = createEventStream(req, res, options)
    streams.push(stream)
    void stream.closed.then((info) => ends.push(info))
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  const port = await listenOn(server)
  const self: EchoServer = {
    port,
    url: `http://127.0.0.1:${port}/events`,
    streams,
    ends,
    answers,
    stream: (index) => waitFor(`stream ${index}`, () => streams[index]),
    deaf: false,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
  return self
}

/** The token in what a client has read. */
export function tokenIn(text: string): string {
  return /: beat (\S+) \d+\n/.exec(text)?.[1] ?? ''
}
