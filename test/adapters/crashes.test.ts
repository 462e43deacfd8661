// A crash in one handler ends its own stream, at most, and touches no other.
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventStream as expressStream } from '../../src/adapters/express.js'
import { eventStream as fastifyStream } from '../../src/adapters/fastify.js'
import { eventStream as honoStream } from '../../src/adapters/hono.js'
import { eventStream as koaStream } from '../../src/adapters/koa.js'
import type { EventInput, EventStream } from '../../src/index.js'
import { type ChildProcessHandle, startProcess } from '../../src/testing/index.js'
import { adaptorServer, frameworks, listen, serverOf } from '../support/framework-servers.js'
import { connect, type ProtocolClient } from '../support/protocol-client.js'
import { waitFor } from '../support/wait-for.js'

const boom = new Error('boom')

function* throwing(): Generator<EventInput> {
  yield { id: '1', data: 'before' }
  throw boom
}

function* unserializable(): Generator<EventInput> {
  yield { id: '1', data: 'before' }
  yield { id: '2', data: { boom: true } }
}

const crashes: Record<string, () => Generator<EventInput>> = {
  'a generator that throws in sendAll': throwing,
  'a serializer that throws in sendAll': unserializable,
}

/** Refuses one kind of data. */
const serialize = (data: unknown): string => {
  if (typeof data === 'object' && data !== null && 'boom' in data) throw boom
  return JSON.stringify(data)
}

for (const { name, serve, protocols } of frameworks) {
  describe.each(protocols)(`${name} | %s`, (protocol) => {
    let close: () => void
    const streams: EventStream[] = []
    const clients: ProtocolClient[] = []
    beforeAll(async () => {
      const running = await serve(protocol, { serialize }, (stream) => streams.push(stream))
      close = running.close
      for (let i = 0; i < 5; i++) clients.push(await connect(protocol, running.port))
    })
    afterAll(() => {
      for (const { leave } of clients) leave()
      close()
    })

    it.each(Object.entries(crashes))('%s closes that stream with error', async (_title, source) => {
      const [stream, client] = [streams.shift() as EventStream, clients.shift() as ProtocolClient]
      expect(await stream.sendAll(source())).toMatchObject({
        sent: 1,
        reason: 'error',
        error: boom,
      })
      expect(await stream.closed).toMatchObject({ reason: 'error', error: boom })
      expect(await client.end).toBe('end')
      expect(client.text()).toBe(':\n\nid: 1\ndata: before\n\n')
    })

    it('a serializer that throws in send throws to its caller, and the stream is open', async () => {
      const [stream, client] = [streams.shift() as EventStream, clients.shift() as ProtocolClient]
      expect(() => stream.send({ data: { boom: true } })).toThrow(boom)
      expect(stream.send({ data: { fine: true } })).toBe('sent')
      await waitFor('the event', () => client.text() === ':\n\ndata: {"fine":true}\n\n')
      await stream.close()
    })

    it('none of it has touched the others', async () => {
      expect(streams.length).toBe(2)
      for (const [index, stream] of streams.entries()) {
        expect(stream.state).toBe('open')
        expect(stream.send({ data: 'still here' })).toBe('sent')
        await waitFor('the event', () => clients[index]?.text() === ':\n\ndata: still here\n\n')
      }
    })
  })
}

describe('a handler that throws after its stream was made', () => {
  /** The reason of the stream, once the client has seen the end. */
  async function reasonFrom(port: number, stream: () => EventStream | undefined): Promise<string> {
    const client = await connect('http', port)
    await client.end
    return (await (stream() as EventStream).closed).reason
  }

  it('in Express has its connection cut by Express', async () => {
    let stream: EventStream | undefined
    const app = express().set('env', 'test')
    app.get('/', expressStream(), (_req, res) => {
      stream = res.eventStream
      throw boom
    })
    const { port, close } = await listen(serverOf('http', app))
    expect(await reasonFrom(port, () => stream)).toBe('client-closed')
    close()
  })

  it('in Koa has its stream closed with error', async () => {
    let stream: EventStream | undefined
    const app = new Koa({ silent: true } as never)
    app.silent = true
    app.use(koaStream())
    app.use((ctx) => {
      stream = ctx.eventStream
      throw boom
    })
    const { port, close } = await listen(serverOf('http', app.callback()))
    expect(await reasonFrom(port, () => stream)).toBe('error')
    close()
  })

  it('in Fastify is logged, and the stream stays open, because the handler must close it', async () => {
    let stream: EventStream | undefined
    const app = fastify()
    await app.register(fastifyStream)
    app.get('/', async (_request, reply) => {
      stream = reply.eventStream()
      throw boom
    })
    const port = Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port)
    const client = await connect('http', port)
    expect(stream?.send({ data: 'on' })).toBe('sent')
    await waitFor('the event', () => client.text() === ':\n\ndata: on\n\n')
    await stream?.close()
    await app.close()
  })

  it('in Hono is answered with 500 by Hono, and the stream closes with that response', async () => {
    let stream: EventStream | undefined
    const app = new Hono()
    app.onError((_error, c) => c.text('sorry', 500))
    app.get('/', (c) => {
      stream = honoStream(c).stream
      throw boom
    })
    const { port, close } = await listen(adaptorServer('http', app.fetch))
    const response = await fetch(`http://127.0.0.1:${port}/`)
    expect([response.status, await response.text()]).toEqual([500, 'sorry'])
    expect((await (stream as EventStream | undefined)?.closed)?.reason).toBe('client-closed')
    close()
  })
})

describe('a listener that throws', () => {
  let peer: ChildProcessHandle
  beforeAll(() => {
    peer = startProcess(new URL('../support/listener-peer.ts', import.meta.url))
  })
  afterAll(() => peer.stop())

  it('on stream.signal is a separate uncaught exception, and both streams continue or end as usual', async () => {
    expect(await peer.call('signalListener')).toEqual({
      uncaught: ['boom'],
      crashed: 'ended',
      other: 'sent',
      otherText: ':\n\ndata: still here\n\n',
    })
  })

  it('as a filter of a channel closes the stream that it was asked about, and no other', async () => {
    expect(await peer.call('filter')).toEqual({
      uncaught: [],
      crashed: 'error',
      other: 'sent',
      otherText: ':\n\ndata: to all\n\ndata: still here\n\n',
    })
  })
})
