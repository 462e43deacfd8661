// A FIN says that the client will send no more; whether it still reads, only a write can tell.
import http from 'node:http'
import net from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { capabilities } from '../../src/index.js'
import { listen } from '../support/cleanup.js'
import { delay } from '../support/delay.js'
import { waitFor } from '../support/wait-for.js'
import { Client, guard, SSE, undo } from './scene.js'

afterEach(undo)

const withKernel = it.runIf(capabilities().addon)
/** Several looks: the second one after a FIN is the one that acts. */
const LOOKS = 2_000
const BODY = 3_000_000
/** More than Node takes before it pauses the socket, and less than what the kernel takes as well: the FIN comes through. */
const PART = 'x'.repeat(100_000)
const upload = `POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: ${BODY}\r\n\r\n`

describe('a client that half-closes and reads on', () => {
  for (const filter of [undefined, () => true]) {
    it(`gets its answer from a net server with allowHalfOpen${filter ? ', guarded as a stream' : ''}`, async () => {
      const server = net.createServer({ allowHalfOpen: true }, (socket) => {
        socket.on('error', () => {}).resume()
        socket.on('end', () => void setTimeout(() => socket.end('the answer'), LOOKS))
      })
      const { closes } = guard(server, { filter })
      const client = new Client(await listen(server), 'the question')
      client.socket.end()
      await client.sees('the answer')
      expect(closes).toEqual([])
    })
  }

  it('loses nothing that it sent to an application that has paused', async () => {
    let got = ''
    const server = net.createServer((socket) => {
      socket.on('error', () => {}).pause()
      socket.on('data', (chunk) => {
        got += chunk
      })
      socket.pause()
      setTimeout(() => socket.resume(), LOOKS)
    })
    const { closes } = guard(server)
    const client = new Client(await listen(server), 'all of it')
    client.socket.end()
    await waitFor('the data', () => got === 'all of it')
    expect(closes).toEqual([])
  })

  it('finishes its upload to a handler that reads late', async () => {
    let got = 0
    const server = http.createServer((req, res) => {
      setTimeout(() => {
        req.on('data', (chunk) => {
          got += chunk.length
        })
        req.on('end', () => res.end('thanks'))
      }, LOOKS)
    })
    const { closes } = guard(server)
    const client = new Client(await listen(server), upload)
    client.socket.end(Buffer.alloc(BODY))
    await waitFor('the body', () => got === BODY)
    expect(closes).toEqual([])
  })
})

describe('a client that leaves while its request body is unread', () => {
  /** Begins an event stream and pauses the request's body forever. */
  const paused = (): http.Server =>
    http.createServer((req, res) => {
      req.pause()
      res.writeHead(200, SSE).write('data: 1\n\n')
    })

  withKernel('is found by its FIN behind an event stream', async () => {
    const server = paused()
    const { closes } = guard(server)
    const client = new Client(await listen(server), `${upload}${PART}`)
    await client.sees('data: 1')
    client.socket.end()
    await waitFor('the close', () => closes.length > 0)
    expect(closes).toMatchObject([
      { reason: 'client-closed', scope: 'connection', verdict: 'half-closed', url: '/events' },
    ])
  })

  withKernel('is found by its RST behind any response', async () => {
    const server = http.createServer((req, res) => {
      req.pause()
      res.writeHead(200).write('data: 1\n\n')
    })
    const { closes, guard: made } = guard(server)
    const client = new Client(await listen(server), `${upload}${PART}`)
    await client.sees('data: 1')
    await waitFor('a paused socket', () => made.stats().connections === 1)
    client.socket.resetAndDestroy()
    await waitFor('the close', () => closes.length > 0)
    expect(closes).toMatchObject([{ reason: 'client-reset', scope: 'connection' }])
  })

  it('is found behind a body that the handler of an event stream never touches', async () => {
    let closed = false
    const server = http.createServer((_req, res) => {
      res.on('close', () => {
        closed = true
      })
      res.writeHead(200, SSE).write('data: 1\n\n')
    })
    guard(server, { detectWithin: 4_000 })
    const client = new Client(await listen(server), upload)
    await client.sees('data: 1')
    client.socket.write(Buffer.alloc(BODY))
    client.socket.end()
    const startedAt = performance.now()
    await waitFor('the close', () => closed)
    expect(performance.now() - startedAt).toBeLessThan(5_000)
  })

  it('and a body that is read in time is never thrown away', async () => {
    let got = 0
    const server = http.createServer((req, res) => {
      res.writeHead(200, SSE).write('data: 1\n\n')
      setTimeout(() => req.on('data', (chunk) => (got += chunk.length)), LOOKS)
    })
    guard(server, { detectWithin: 4_000 })
    const client = new Client(await listen(server), upload)
    await client.sees('data: 1')
    client.socket.write(Buffer.alloc(BODY))
    await waitFor('the body', () => got === BODY)
  })

  it('is left to Node where Node reads: nothing is reported twice', async () => {
    let closed = 0
    const server = http.createServer((_req, res) => {
      res.on('close', () => closed++)
      res.writeHead(200, SSE).write('data: 1\n\n')
    })
    const { closes, guard: made } = guard(server)
    const client = new Client(await listen(server))
    await client.sees('data: 1')
    client.socket.end()
    await waitFor('the close', () => closed === 1)
    await waitFor('the end', () => made.stats().connections === 0)
    await delay(500)
    expect([closes, made.stats().closed['client-closed']]).toEqual([[], 0])
  })
})
