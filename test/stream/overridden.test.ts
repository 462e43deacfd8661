// Whoever has put methods of their own in the place of Node's gets every byte of a stream.
import { execFile } from 'node:child_process'
import http, { type IncomingMessage, OutgoingMessage, ServerResponse } from 'node:http'
import http2, { Http2ServerResponse } from 'node:http2'
import net from 'node:net'
import { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { eventStream } from '../../src/adapters/express.js'
import { createEventStream, type EventStream } from '../../src/index.js'
import { cleanup } from '../support/cleanup.js'
import { listenOn } from '../support/ports.js'
import { type Method, redacting } from '../support/redacting.js'
import { tsx } from '../support/tsx.js'
import { waitFor } from '../support/wait-for.js'

/** Replaces methods of a prototype until the test is over. */
function replace(
  prototype: object,
  wrap: (inner: Method) => Method,
  names = ['write', 'end'],
): void {
  for (const name of names) {
    const own = Object.getOwnPropertyDescriptor(prototype, name)
    const inner = (prototype as Record<string, Method>)[name] as Method
    Object.defineProperty(prototype, name, {
      value: wrap(inner),
      writable: true,
      configurable: true,
    })
    cleanup.push(() => {
      if (own === undefined) delete (prototype as Record<string, Method>)[name]
      else Object.defineProperty(prototype, name, own)
    })
  }
}

class Redacting extends ServerResponse {
  override write(...args: unknown[]): boolean {
    return redacting(super.write as Method).apply(this, args) as boolean
  }
  override end(...args: unknown[]): this {
    return redacting(super.end as Method).apply(this, args) as this
  }
}

class RedactingHttp2 extends Http2ServerResponse {
  override write(...args: unknown[]): boolean {
    return redacting(super.write as Method).apply(this, args) as boolean
  }
}

interface Made {
  readonly stream: EventStream
  readonly res: ServerResponse | Http2ServerResponse
}

type Serve = (made: (each: Made) => void) => net.Server

const plain =
  (options: http.ServerOptions = {}, before: (res: ServerResponse) => void = () => {}): Serve =>
  (made) =>
    http.createServer(options, (req, res) => {
      before(res)
      made({ stream: createEventStream(req, res), res })
    })

/** Runs a server of its own, whose prototypes are replaced before the library is loaded, and returns what a client gets. */
async function preloaded(protocol: 'http' | 'http2'): Promise<string> {
  const program = fileURLToPath(new URL('../support/preloaded-server.ts', import.meta.url))
  const args = ['--import', tsx, program, protocol]
  return (await promisify(execFile)(process.execPath, args)).stdout
}

describe('methods that were replaced before the library was loaded', () => {
  for (const protocol of ['http', 'http2'] as const) {
    it(`get every byte over ${protocol}`, async () => {
      const text = await preloaded(protocol)
      expect(text).toContain('data: ****** 3')
      expect(text).not.toContain('secret')
    })
  }
})

const where: [string, Serve][] = [
  ['a subclass', plain({ ServerResponse: Redacting as never })],
  [
    'ServerResponse.prototype',
    (made) => {
      replace(ServerResponse.prototype, redacting)
      return plain()(made)
    },
  ],
  [
    'OutgoingMessage.prototype',
    (made) => {
      replace(OutgoingMessage.prototype, redacting)
      return plain()(made)
    },
  ],
  [
    'Express’s app.response',
    (made) => {
      const app = express()
      replace(app.response, redacting)
      app.get('/', eventStream(), (_req, res) => made({ stream: res.eventStream, res }))
      return http.createServer(app)
    },
  ],
  [
    'the response itself',
    plain({}, (res) => {
      res.write = redacting(res.write as Method) as never
      res.end = redacting(res.end as Method) as never
    }),
  ],
  [
    'a prototype, after the stream was made',
    (made) =>
      plain()((each) => {
        replace(ServerResponse.prototype, redacting)
        made(each)
      }),
  ],
  [
    'a subclass over HTTP/2',
    (made) =>
      http2.createServer({ Http2ServerResponse: RedactingHttp2 as never }, (req, res) =>
        made({ stream: createEventStream(req, res), res }),
      ) as unknown as net.Server,
  ],
  [
    'Http2ServerResponse.prototype',
    (made) => {
      replace(Http2ServerResponse.prototype, redacting)
      return http2.createServer((req, res) =>
        made({ stream: createEventStream(req, res), res }),
      ) as unknown as net.Server
    },
  ],
  [
    'Http2ServerResponse.prototype, after the stream was made',
    (made) =>
      http2.createServer((req, res) => {
        const stream = createEventStream(req, res)
        replace(Http2ServerResponse.prototype, redacting)
        made({ stream, res })
      }) as unknown as net.Server,
  ],
]

/** Serves one stream, and gives it with what its client reads. */
async function open(serve: Serve, isHttp2: boolean): Promise<Made & { text: () => string }> {
  let made: Made | undefined
  const server = serve((each) => {
    made = each
  })
  const port = await listenOn(server)
  let text = ''
  const take = (chunk: unknown): void => {
    text += chunk
  }
  if (isHttp2) {
    const session = http2.connect(`http://127.0.0.1:${port}`)
    session.request().on('data', take)
    cleanup.push(() => session.destroy())
  } else {
    const client = net.connect(port, '127.0.0.1').on('data', take)
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    cleanup.push(() => client.destroy())
  }
  cleanup.push(() => void server.close())
  return { ...(await waitFor('the stream', () => made)), text: () => text }
}

describe('a write that was overridden on', () => {
  for (const [title, serve] of where) {
    it(`${title} sees every event`, async () => {
      const { stream, res, text } = await open(serve, /http.?2/i.test(title))
      stream.send({ id: 1, data: 'secret one' })
      await new Promise(setImmediate)
      stream.send({ id: 2, data: `secret two ${'x'.repeat(40_000)}` })
      await waitFor('the second event', () => /id: 2\ndata: .* two x/.test(text()))
      stream.send({ id: 3, data: 'secret three' })
      if (/itself|subclass$|app\.response/.test(title))
        (res as ServerResponse).end('data: secret four\n\n')
      else (res as ServerResponse).write('data: secret four\n\n')
      await waitFor('the last write', () => text().includes('four'))
      expect(text()).toContain('****** three')
      expect(text()).not.toContain('secret')
    })
  }
})

describe('a wrapped socket.write', () => {
  const cases: [string, (socket: net.Socket, wrap: (inner: Method) => Method) => void][] = [
    [
      'on the socket',
      (socket, wrap) => {
        socket.write = wrap(socket.write as Method) as never
      },
    ],
    ['on net.Socket.prototype', (_, wrap) => replace(net.Socket.prototype, wrap, ['write'])],
    ['on Duplex.prototype', (_, wrap) => replace(Duplex.prototype, wrap, ['write'])],
  ]
  for (const [title, apply] of cases) {
    for (const late of [false, true]) {
      it(`${title} sees every byte, wrapped ${late ? 'after' : 'before'} the stream was made`, async () => {
        let seen = ''
        let mine: net.Socket | undefined
        const counting = (inner: Method): Method =>
          function (this: unknown, chunk: unknown, ...rest: unknown[]) {
            if (this === mine) seen += Buffer.from(chunk as string).toString()
            return inner.call(this, chunk, ...rest)
          }
        const wrap = (socket: net.Socket): void => {
          mine = socket
          apply(socket, counting)
        }
        const serve: Serve = (made) =>
          http.createServer((req: IncomingMessage, res) => {
            if (!late) wrap(req.socket)
            const stream = createEventStream(req, res)
            if (late) wrap(req.socket)
            made({ stream, res })
          })
        const { stream, text } = await open(serve, false)
        for (let id = 1; id <= 3; id++) {
          stream.send({ id, data: 'x' })
          await new Promise(setImmediate)
        }
        await waitFor('the last event', () => text().includes('id: 3'))
        for (const id of [1, 2, 3]) expect(seen).toContain(`id: ${id}`)
      })
    }
  }
})
