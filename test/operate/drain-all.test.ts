// drain('all'), which a process can do once: no client gets a stream after it.
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { Duplex } from 'node:stream'
import { createAdaptorServer } from '@hono/node-server'
import { describe, expect, it } from 'vitest'
import { createEventResponse } from '../../src/adapters/web.js'
import { createEventStream, drain, type EventStream } from '../../src/index.js'
import { cleanup, listen } from '../support/cleanup.js'
import { waitFor } from '../support/wait-for.js'

describe("drain('all')", () => {
  it('ends a stream that no socket carries, and the carrier with it', async () => {
    let stream: EventStream | undefined
    const server = http.createServer((req, res) => {
      stream = createEventStream(req, res)
    })
    const carrier = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
    server.emit('connection', carrier)
    carrier.push('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await waitFor('a stream', () => stream)
    expect(await drain('all', { spreadOver: 0, timeout: 2_000 })).toMatchObject({ drained: 1 })
    // What throws in the carrier's events would fail the run.
    await waitFor('its end', () => carrier.writableFinished)
  })

  it('closes the connections of later requests, also with a web Response', async () => {
    await drain('all')
    const server = createAdaptorServer({
      fetch: (request, env) => createEventResponse(request, {}, env).response,
    }) as http.Server
    await listen(server)
    const agent = new http.Agent({ keepAlive: true })
    cleanup.push(() => agent.destroy())
    const { port } = server.address() as AddressInfo
    const res = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http.get({ port, host: '127.0.0.1', agent }, resolve).on('error', reject)
    })
    res.resume()
    expect(res.statusCode).toBe(503)
    expect(res.headers.connection).toBe('close')
  })
})
