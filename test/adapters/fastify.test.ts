// What is Fastify's own: the plugin, the hijacked reply, and which hooks still run.
import fastify, { type FastifyInstance } from 'fastify'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventStream } from '../../src/adapters/fastify.js'
import type { EventStream } from '../../src/index.js'
import { connect } from '../support/protocol-client.js'
import { waitFor } from '../support/wait-for.js'

const HOOKS = [
  'onRequest',
  'preParsing',
  'preValidation',
  'preHandler',
  'preSerialization',
  'onSend',
  'onResponse',
  'onRequestAbort',
  'onTimeout',
  'onError',
] as const

describe('reply.eventStream', () => {
  let app: FastifyInstance
  let streams: EventStream[]
  let ran: string[]
  beforeEach(() => {
    app = fastify()
    streams = []
    ran = []
  })
  afterEach(() => app.close())

  const listen = async (): Promise<number> =>
    Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port)

  function observeHooks(): void {
    for (const name of HOOKS) {
      app.addHook(name as 'onRequest', (...args: unknown[]) => {
        ran.push(name)
        const done = args.at(-1)
        if (typeof done === 'function') done()
      })
    }
  }

  it('sends the status and headers that were set on the reply, and its own', async () => {
    await app.register(eventStream)
    app.get('/', (_request, reply) => {
      reply.code(201).header('x-own', 'kept').header('set-cookie', ['a=1', 'b=2'])
      streams.push(reply.eventStream({ headers: { 'x-option': 'kept too' } }))
    })
    const client = await connect('http', await listen())
    expect(client.status).toBe(201)
    expect(client.headers).toMatchObject({
      'x-own': 'kept',
      'x-option': 'kept too',
      'set-cookie': ['a=1', 'b=2'],
      'content-type': 'text/event-stream; charset=utf-8',
    })
    client.leave()
  })

  it('serves the instance it was registered on, and those inside of it', async () => {
    await app.register(eventStream)
    await app.register(async (inner) => {
      inner.get('/', (_request, reply) => void streams.push(reply.eventStream()))
    })
    expect(app.hasReplyDecorator('eventStream')).toBe(true)
    const client = await connect('http', await listen())
    expect(client.status).toBe(200)
    client.leave()
  })

  it('takes defaults at registration beside the options of Fastify, and options for one stream', async () => {
    await app.register(eventStream, { retry: 1_000, padding: 64, prefix: '/x', logLevel: 'warn' })
    app.get('/', (_request, reply) => void streams.push(reply.eventStream({ padding: false })))
    const client = await connect('http', await listen())
    await waitFor('retry', () => client.text() === ':\n\nretry: 1000\n\n')
    client.leave()
  })

  it('refuses bad options at registration', async () => {
    await expect(app.register(eventStream, { detectwithin: 1 } as never)).rejects.toMatchObject({
      code: 'ERR_OPTION_UNKNOWN',
    })
  })

  it('leaves the reply to Fastify when its options are bad: 500', async () => {
    await app.register(eventStream)
    app.get('/', (_request, reply) => void reply.eventStream({ retry: -1 }))
    const response = await fetch(`http://127.0.0.1:${await listen()}/`)
    expect(response.status).toBe(500)
    expect(await response.json()).toMatchObject({ code: 'ERR_OPTION_VALUE' })
  })

  it('answers the HEAD route that Fastify adds with the head', async () => {
    await app.register(eventStream)
    app.get('/', (_request, reply) => void streams.push(reply.eventStream()))
    const response = await fetch(`http://127.0.0.1:${await listen()}/`, { method: 'HEAD' })
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect((await streams[0]?.closed)?.reason).toBe('ended')
  })

  it('what an async handler returns is ignored', async () => {
    await app.register(eventStream)
    app.get('/', async (_request, reply) => {
      const stream = reply.eventStream()
      stream.send({ data: 'hello' })
      await stream.close()
      return { not: 'sent' }
    })
    const response = await fetch(`http://127.0.0.1:${await listen()}/`)
    expect(await response.text()).toBe(':\n\ndata: hello\n\n')
  })

  it('runs the hooks before the handler and onResponse, and none about a payload', async () => {
    await app.register(eventStream)
    observeHooks()
    app.get('/', (_request, reply) => {
      const stream = reply.eventStream()
      stream.send({ data: 'hello' })
      return stream.close()
    })
    await (await fetch(`http://127.0.0.1:${await listen()}/`)).text()
    const before = ['onRequest', 'preParsing', 'preValidation', 'preHandler']
    await waitFor('onResponse', () => ran.includes('onResponse'))
    expect(ran).toEqual([...before, 'onResponse'])
  })

  it('runs onRequestAbort when the client leaves, and onResponse then not', async () => {
    await app.register(eventStream)
    observeHooks()
    app.get('/', (_request, reply) => void streams.push(reply.eventStream()))
    const client = await connect('http', await listen())
    client.leave()
    expect((await streams[0]?.closed)?.reason).toBe('client-closed')
    await waitFor('onRequestAbort', () => ran.includes('onRequestAbort'))
    expect(ran.slice(4)).toEqual(['onRequestAbort'])
  })
})
