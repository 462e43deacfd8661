// What is on the response already, or is asked for, and cannot go with a stream: taken off, or refused before anything is sent.
import http from 'node:http'
import http2 from 'node:http2'
import { createAdaptorServer, type HttpBindings } from '@hono/node-server'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { describe, expect, it } from 'vitest'
import { eventStream as expressStream } from '../../src/adapters/express.js'
import { eventStream as fastifyStream } from '../../src/adapters/fastify.js'
import { eventStream as honoStream } from '../../src/adapters/hono.js'
import { eventStream as koaStream } from '../../src/adapters/koa.js'
import { createEventResponse } from '../../src/adapters/web.js'
import {
  createAdmission,
  createEventStream,
  type EventStream,
  type EventStreamOptions,
  metrics,
} from '../../src/index.js'
import { cleanup } from '../support/cleanup.js'
import { listen, type Protocol, serverOf, tls } from '../support/framework-servers.js'
import { connect, type ProtocolClient } from '../support/protocol-client.js'
import { waitFor } from '../support/wait-for.js'

interface Head {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | string[]>>
}

type OnStream = (stream: EventStream) => void

/** A server that puts `head` on the response before it makes the stream; errors are answered with 500 and their code. */
type Serve = (
  protocol: Protocol,
  head: Head,
  options: EventStreamOptions,
  onStream: OnStream,
) => Promise<number>

const codeOf = (error: unknown): string => String((error as { code?: string }).code)

async function serve(server: Parameters<typeof listen>[0]): Promise<number> {
  const { port, close } = await listen(server)
  cleanup.push(close)
  return port
}

const node: Serve = (protocol, { status, headers = {} }, options, onStream) =>
  serve(
    serverOf(protocol, (req, res) => {
      if (status !== undefined) res.statusCode = status
      for (const [name, value] of Object.entries(headers)) res.setHeader(name, value)
      const before = res.getHeaderNames()
      try {
        onStream(createEventStream(req, res, options))
      } catch (error) {
        expect(res.getHeaderNames()).toEqual(before)
        expect(res.headersSent).toBe(false)
        for (const name of before) res.removeHeader(name)
        res.statusCode = 500
        res.end(codeOf(error))
      }
    }),
  )

const viaExpress: Serve = (protocol, { status = 200, headers = {} }, options, onStream) => {
  const app = express()
  app.use((_req, res, next) => {
    res.status(status).set(headers)
    next()
  })
  app.get('/', expressStream(options), (_req, res) => onStream(res.eventStream))
  app.use(((error, _req, res, _next) => {
    for (const name of Object.keys(headers)) res.removeHeader(name)
    res.status(500).send(codeOf(error))
  }) as express.ErrorRequestHandler)
  return serve(serverOf(protocol, app))
}

const koa: Serve = (protocol, { status, headers = {} }, options, onStream) => {
  const app = new Koa()
  app.use(async (ctx, next) => {
    try {
      ctx.set(headers)
      if (status !== undefined) ctx.status = status
      await next()
    } catch (error) {
      for (const name of Object.keys(headers)) ctx.remove(name)
      ctx.status = 500
      ctx.body = codeOf(error)
    }
  })
  app.use(koaStream(options))
  app.use((ctx) => onStream(ctx.eventStream))
  return serve(serverOf(protocol, app.callback()))
}

const viaFastify: Serve = async (protocol, { status = 200, headers = {} }, options, onStream) => {
  const secure = protocol === 'http2' ? { http2: true, https: tls } : {}
  const app = fastify(secure as never)
  await app.register(fastifyStream, options)
  app.setErrorHandler((error, _request, reply) => {
    for (const name of Object.keys(headers)) reply.removeHeader(name)
    return reply.code(500).send(codeOf(error))
  })
  app.get('/', (_request, reply) => {
    reply.code(status).headers(headers)
    onStream(reply.eventStream())
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  cleanup.push(() => void app.close())
  return (app.server.address() as { port: number }).port
}

const hono: Serve = (protocol, { status = 200, headers = {} }, options, onStream) => {
  const app = new Hono<{ Bindings: HttpBindings }>()
  app.onError((error, c) => {
    for (const name of Object.keys(headers)) c.header(name, undefined)
    return c.text(codeOf(error), 500)
  })
  app.get('/', (c) => {
    c.status(status as 200)
    for (const [name, value] of Object.entries(headers)) c.header(name, String(value))
    const { response, stream } = honoStream(c, options)
    onStream(stream)
    return response
  })
  const over =
    protocol === 'http2'
      ? { createServer: http2.createSecureServer, serverOptions: tls }
      : { createServer: http.createServer }
  return serve(createAdaptorServer({ fetch: app.fetch, ...over } as never) as http.Server)
}

/** The headers are on Node's response, below the adapter. */
const web: Serve = (_protocol, { headers = {} }, options, onStream) =>
  serve(
    createAdaptorServer({
      fetch(request: Request, env: HttpBindings) {
        for (const [name, value] of Object.entries(headers)) env.outgoing.setHeader(name, value)
        const { response, stream } = createEventResponse(request, options, env)
        onStream(stream)
        return response
      },
    } as never) as http.Server,
  )

/** Sends one event, and ends. */
const brief: OnStream = (stream) => {
  stream.send({ data: 'hello' })
  void stream.close()
}

async function client(protocol: Protocol, port: number): Promise<ProtocolClient> {
  const made = await connect(protocol, port)
  cleanup.push(made.leave)
  return made
}

const servers: [string, Serve, Protocol[]][] = [
  ['node', node, ['http', 'https', 'http2']],
  ['express', viaExpress, ['http']],
  ['koa', koa, ['http', 'http2']],
  ['fastify', viaFastify, ['http', 'http2']],
  ['hono', hono, ['http', 'http2']],
  ['web', web, ['http']],
]

const framing: [string, string][] = [
  ['Content-Length', '5'],
  ['Content-Length', '5000'],
  ['Transfer-Encoding', 'identity'],
  ['Content-Encoding', 'gzip'],
  ['Trailer', 'x-checksum'],
]

for (const [name, serveWith, protocols] of servers) {
  for (const protocol of protocols) {
    describe(`${name} over ${protocol}`, () => {
      for (const [header, value] of framing) {
        const headers = { [header]: value, 'X-Kept': 'yes' }
        it(`takes ${header}: ${value} off a stream`, async () => {
          const port = await serveWith(protocol, { headers }, {}, brief)
          const { status, headers: got, end, text } = await client(protocol, port)
          expect(await end).toBe('end')
          expect(text().endsWith('data: hello\n\n')).toBe(true)
          expect([status, got['x-kept']]).toEqual([200, 'yes'])
          const chunked = protocol === 'http2' ? undefined : 'chunked'
          expect(got).toMatchObject({ 'x-kept': 'yes' })
          expect([
            got['transfer-encoding'],
            got['content-length'],
            got['content-encoding'],
          ]).toEqual([chunked, undefined, undefined])
        })

        it(`takes ${header}: ${value} off the 503 of a refusal`, async () => {
          const admission = createAdmission({ maxStreams: 0 })
          const port = await serveWith(protocol, { headers }, { admission }, brief)
          const { status, headers: got, end, text } = await client(protocol, port)
          expect(await end).toBe('end')
          expect(text()).toBe('There are too many event streams.\n')
          expect([status, got['x-kept']]).toEqual([503, 'yes'])
        })
      }

      // The status of a web Response is its maker's.
      if (name === 'web') return
      it('keeps a status that was set before', async () => {
        const port = await serveWith(protocol, { status: 201 }, {}, brief)
        const answer = await client(protocol, port)
        expect(await answer.end).toBe('end')
        expect(answer.status).toBe(201)
      })

      for (const status of [204, 205, 304]) {
        it(`refuses status ${status}, which has no body, and nothing has been sent`, async () => {
          const before = metrics().opened
          const head = { status, headers: { 'Content-Length': '5' } }
          const port = await serveWith(protocol, head, {}, brief)
          const answer = await client(protocol, port)
          expect(await answer.end).toBe('end')
          expect([answer.status, answer.text()]).toEqual([500, 'ERR_STATUS_WITHOUT_BODY'])
          expect(metrics().opened).toBe(before)
        })
      }
    })
  }
}

describe('HTTP/2 and headers with a single value', () => {
  // Koa and the Node adapter set them on Node's response, Fastify on its own.
  for (const [name, serveWith] of [
    ['node', node],
    ['koa', koa],
    ['fastify', viaFastify],
  ] as const) {
    for (const options of [{}, { headers: { 'x-own': 'yes' } }]) {
      it(`${name}: several values on the response are refused (${JSON.stringify(options)})`, async () => {
        const before = metrics().opened
        const port = await serveWith('http2', { headers: { etag: ['"a"', '"b"'] } }, options, brief)
        const { status, end, text } = await client('http2', port)
        expect(await end).toBe('end')
        expect([status, text()]).toEqual([500, 'ERR_OPTION_VALUE'])
        expect(metrics().opened).toBe(before)
      })
    }

    it(`${name}: what the stream removes, and a header without values, is not refused`, async () => {
      const head = { headers: { 'content-encoding': ['gzip', 'br'], 'last-modified': [] } }
      const port = await serveWith('http2', head, {}, brief)
      const { status, headers, end } = await client('http2', port)
      expect(await end).toBe('end')
      expect([status, headers['content-encoding']]).toEqual([200, undefined])
    })

    it(`${name}: the option may override them`, async () => {
      const head = { headers: { etag: ['"a"', '"b"'] } }
      const port = await serveWith('http2', head, { headers: { ETag: '"c"' } }, brief)
      const { status, headers, end } = await client('http2', port)
      expect(await end).toBe('end')
      expect([status, headers.etag]).toEqual([200, '"c"'])
    })
  }
})

describe('HTTP/2 and the headers of a connection', () => {
  const ofConnection = ['Keep-Alive', 'Proxy-Connection', 'Upgrade', 'TE', 'HTTP2-Settings']
  for (const header of ofConnection) {
    for (const [name, serveWith] of [
      ['node', node],
      ['koa', koa],
      ['fastify', viaFastify],
      ['hono', hono],
    ] as const) {
      it(`${name}: ${header} in the option is refused, and the client gets the application's answer`, async () => {
        const port = await serveWith('http2', {}, { headers: { [header]: 'x' } }, brief)
        const { status, end, text } = await client('http2', port)
        expect(await end).toBe('end')
        expect([status, text()]).toEqual([500, 'ERR_OPTION_VALUE'])
      })

      it(`${name}: ${header} that is on the response is taken off`, async () => {
        const port = await serveWith('http2', { headers: { [header]: 'x' } }, {}, brief)
        const { status, headers, end, text } = await client('http2', port)
        expect(await end).toBe('end')
        expect([status, headers[header.toLowerCase()]]).toEqual([200, undefined])
        expect(text().endsWith('data: hello\n\n')).toBe(true)
      })
    }

    it(`${header} goes with a stream over HTTP/1`, async () => {
      const port = await node('http', {}, { headers: { [header]: 'x' } }, brief)
      expect((await client('http', port)).headers[header.toLowerCase()]).toBe('x')
    })
  }

  it('Connection, which many applications set, is left out without a warning', async () => {
    const warnings: Error[] = []
    const note = (warning: Error): void => void warnings.push(warning)
    process.on('warning', note)
    cleanup.push(() => void process.off('warning', note))
    const port = await node('http2', {}, { headers: { Connection: 'keep-alive' } }, brief)
    const { status, headers, end } = await client('http2', port)
    expect(await end).toBe('end')
    expect([status, headers.connection, warnings]).toEqual([200, undefined, []])
  })

  it('no header that Node knows makes Node throw', async () => {
    const names = Object.entries(http2.constants)
      .filter(([key]) => key.startsWith('HTTP2_HEADER_'))
      .map(([, value]) => String(value))
      .filter((name) => !name.startsWith(':'))
    expect(names.length).toBeGreaterThan(50)
    const port = await serve(
      serverOf('http2', (req, res) => {
        const name = String(req.headers['x-name'])
        const value = req.headers['x-many'] === '1' ? ['a', 'b'] : 'a'
        try {
          brief(createEventStream(req, res, { headers: { [name]: value } }))
        } catch (error) {
          res.end(codeOf(error))
        }
      }),
    )
    const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
    cleanup.push(() => session.destroy())
    const ask = (name: string, many: string): Promise<string> =>
      new Promise((resolve) => {
        let text = ''
        const request = session.request({ 'x-name': name, 'x-many': many })
        request.setEncoding('utf8').on('data', (chunk) => {
          text += chunk
        })
        request.on('error', () => {}).on('close', () => resolve(text))
      })
    for (const name of names) {
      for (const many of ['0', '1']) {
        expect(await ask(name, many), `${name} ${many}`).toMatch(
          /data: hello\n\n$|^ERR_OPTION_VALUE$/,
        )
      }
    }
  })

  it('createEventResponse refuses them where it knows that HTTP/2 is beneath', async () => {
    let code = ''
    const server = createAdaptorServer({
      createServer: http2.createServer,
      fetch(request: Request, env: unknown) {
        try {
          return createEventResponse(request, { headers: { 'Keep-Alive': 'x' } }, env).response
        } catch (error) {
          code = codeOf(error)
          return new Response('no', { status: 500 })
        }
      },
    } as never)
    const port = await serve(server as http.Server)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    cleanup.push(() => session.destroy())
    session.on('error', () => {})
    session
      .request()
      .on('error', () => {})
      .resume()
    await waitFor('the code', () => code !== '')
    expect(code).toBe('ERR_OPTION_VALUE')
  })
})
