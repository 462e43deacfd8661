// A connection serves others after a stream: it gets its own options back.
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { answerWithStream } from '../../src/adapters/node.js'
import { capabilities, createEventStream, type EventStream, guardServer } from '../../src/index.js'
import { sharedMonitor } from '../../src/liveness/monitor.js'
import { monitorPlan } from '../../src/liveness/plan.js'
import { getKernelOption, type KernelOption, socketOf } from '../../src/native/binding.js'
import { streamSettings } from '../../src/stream/options.js'
import { idsOf, parseChunked } from '../support/chunked.js'
import { cleanup, listen } from '../support/cleanup.js'
import { GET, opener } from '../support/open-stream.js'
import { waitFor } from '../support/wait-for.js'

const OPTIONS: KernelOption[] = [
  'SO_KEEPALIVE',
  'TCP_KEEPIDLE',
  'TCP_KEEPINTVL',
  'TCP_KEEPCNT',
  'TCP_RTO_MAX_MS',
  'TCP_USER_TIMEOUT',
  'TCP_NOTSENT_LOWAT',
]

describe.runIf(capabilities().addon)('the options of a connection', () => {
  it("are the stream's while it lasts, and those from before when it has ended", async () => {
    const { open } = await opener(cleanup)
    const { stream, client, socket, received } = await open({ detectWithin: 6_000 })
    const during = OPTIONS.map((option) => getKernelOption(socket, option))
    stream.send({ id: '1', data: 'x' })
    await stream.close()
    const after = OPTIONS.map((option) => getKernelOption(socket, option))
    client.write('GET /plain HTTP/1.1\r\nHost: x\r\n\r\n')
    await waitFor('the plain response', () => received().includes('plain'))
    expect(during.slice(0, 5)).toEqual([
      1,
      1,
      1,
      12,
      capabilities().retransmitMax ? 1_000 : during[4],
    ])
    expect(during[5]).toBeGreaterThan(0)
    expect(during[6]).toBe(65_536)
    expect([after[5], after[6]]).toEqual([0, 0])
    expect(after[1]).not.toBe(during[1])
    if (capabilities().retransmitMax) expect(after[4]).toBe(120_000)
    expect(sharedMonitor.size).toBe(0)
  })

  it("are the guard's and the stream's, whichever is stricter", async () => {
    const server = http.createServer((req, res) => {
      createEventStream(req, res)
      server.emit('test', req.socket)
    })
    const guard = guardServer(server, { notSentLowWater: 200_000 })
    const port = await listen(server)
    const client = net.connect(port, '127.0.0.1')
    client.on('error', () => {}).write(GET)
    const [socket] = (await once(server, 'test')) as [net.Socket]
    expect(getKernelOption(socket, 'TCP_NOTSENT_LOWAT')).toBe(65_536)
    guard.stop()
    expect(getKernelOption(socket, 'TCP_NOTSENT_LOWAT')).toBe(65_536)
    client.destroy()
    await waitFor('the end', () => sharedMonitor.size === 0)
  })

  it('are put back though the first of several streams has asked for fewer', async () => {
    const seen: { socket: net.Socket; before: number[] }[] = []
    const streams: EventStream[] = []
    const all = (socket: net.Socket) => OPTIONS.map((option) => getKernelOption(socket, option))
    const server = http2.createServer((req, res) => {
      const socket = socketOf(req.stream.session?.socket as net.Socket)
      if (seen.length === 0) seen.push({ socket, before: all(socket) })
      const few = {
        ...streamSettings({}),
        plan: monitorPlan(30_000, { userTimeout: false, retransmitMax: false }),
      }
      streams.push(
        streams.length === 0
          ? answerWithStream(req, res, few)
          : createEventStream(req, res, { detectWithin: 6_000 }),
      )
    })
    const port = await listen(server)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    cleanup.push(() => session.destroy())
    for (const count of [1, 2]) {
      session
        .request({ ':path': '/' })
        .on('error', () => {})
        .resume()
      await waitFor('the stream', () => streams.length === count)
    }
    const { socket, before } = seen[0] as (typeof seen)[0]
    const userTimeout = () => getKernelOption(socket, 'TCP_USER_TIMEOUT')
    expect(userTimeout()).toBeGreaterThan(0)
    await streams[1]?.close()
    // The one that is left has asked for none.
    expect(userTimeout()).toBe(0)
    await streams[0]?.close()
    expect(all(socket)).toEqual(before)
  })

  it('leaves the next response on the connection to itself', async () => {
    const { open } = await opener(cleanup)
    const first = await open()
    first.stream.send({ id: '1', data: 'x' })
    await first.stream.close()
    expect(sharedMonitor.size).toBe(0)
    const second = await open({}, GET, first.client)
    second.stream.send({ id: '2', data: 'x' })
    await second.stream.close()
    await waitFor('both', () => {
      const one = parseChunked(first.received())
      return one.complete && parseChunked(one.rest).complete
    })
    const one = parseChunked(first.received())
    expect([idsOf(one.body), idsOf(parseChunked(one.rest).body)]).toEqual([['1'], ['2']])
  })
})
