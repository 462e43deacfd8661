// What is known to have been delivered: by the kernel's word, or not at all.

import { readFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net, { type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import compression from 'compression'
import express from 'express'
import { describe, expect, it } from 'vitest'
import {
  applySocketOptions,
  capabilities,
  createEventStream,
  type EventStream,
} from '../../src/index.js'
import { idsOf, parseChunked } from '../support/chunked.js'
import { cleanup, listen } from '../support/cleanup.js'
import { fillUp, GET, opener } from '../support/open-stream.js'
import { waitFor } from '../support/wait-for.js'

const event = (id: string, size = 1): { id: string; data: string } => ({
  id,
  data: 'x'.repeat(size),
})

for (const fastPath of [true, false]) {
  describe.runIf(capabilities().addon)(`delivery, fast path ${fastPath ? 'on' : 'off'}`, () => {
    it('confirms an event, and tells id, number and bytes on the wire', async () => {
      const { open } = await opener(cleanup)
      const { stream, received } = await open({ fastPath, retry: 7 })
      expect(stream.delivered()).toMatchObject({ id: undefined, events: 0 })
      expect(stream.send(event('a'))).toBe('sent')
      stream.comment('no event')
      expect(await stream.sendConfirmed(event('b'))).toBe('delivered')
      const delivered = stream.delivered()
      expect(delivered).toMatchObject({ id: 'b', events: 2 })
      await waitFor('the bytes', () => idsOf(parseChunked(received()).body).length === 2)
      const body = received().length - received().indexOf('\r\n\r\n') - 4
      expect(delivered?.bytes).toBe(body - '3\r\n:\n\n\r\n'.length)
      expect(await stream.delivery('a')).toBe('delivered')
      expect(await stream.delivery('never sent')).toBe('unknown')
    })

    it('confirms an event that was acknowledged before it could be noted', async () => {
      const { open } = await opener(cleanup)
      const { stream } = await open({ fastPath })
      // So many in one tick that the log asks the kernel before it takes one more, and that one leaves at once.
      for (let n = 0; n < 64; n++) stream.send(event(String(n)))
      const outcome = stream.sendConfirmed(event('large', 20_000))
      const late = new Promise((resolve) => setTimeout(resolve, 2_000, 'never told'))
      expect(await Promise.race([outcome, late])).toBe('delivered')
    })

    it('counts earlier responses on the connection in', async () => {
      const { open } = await opener(cleanup)
      const plain = 'GET /plain HTTP/1.1\r\nHost: x\r\n\r\n'
      const first = await open({ fastPath }, plain + GET)
      expect(await first.stream.sendConfirmed(event('1'))).toBe('delivered')
      const { bytes } = first.stream.delivered() ?? {}
      expect(bytes).toBe('f\r\nid: 1\ndata: x\n\n\r\n'.length)
      expect((await first.stream.close()).delivered).toMatchObject({ id: '1', events: 1 })
      const second = await open({ fastPath }, GET, first.client)
      expect(second.stream.delivered()).toEqual({ id: undefined, events: 0, bytes: 0 })
      expect(await second.stream.sendConfirmed(event('1'))).toBe('delivered')
      expect(second.stream.delivered()).toEqual({ id: '1', events: 1, bytes })
    })

    it('works without chunks', async () => {
      const { open } = await opener(cleanup)
      const { stream } = await open({ fastPath }, 'GET / HTTP/1.0\r\n\r\n')
      expect(await stream.sendConfirmed(event('1'))).toBe('delivered')
      expect(stream.delivered()).toEqual({ id: '1', events: 1, bytes: 'id: 1\ndata: x\n\n'.length })
    })

    it("says no more than what the client's kernel has, and the rest is undelivered, in order", async () => {
      const { open } = await opener(cleanup)
      const { stream, client, socket, received } = await open({ fastPath })
      client.pause()
      applySocketOptions(socket, { sendBuffer: 8_192 })
      const ids = await fillUp(stream)
      for (let id = 0; id < 10; id++) {
        ids.push(`q${id}`)
        expect(stream.send(event(`q${id}`))).toBe('queued')
      }
      const last = stream.sendConfirmed(event('last'))
      const inQueue = stream.delivery('q3')
      const { events = -1 } = stream.delivered() ?? {}
      expect(events).toBeLessThan(ids.length - 10)
      stream.abort()
      const info = await stream.closed
      const count = info.delivered?.events as number
      expect(count).toBeGreaterThanOrEqual(events)
      expect(info.delivered?.id).toBe(ids[count - 1])
      expect(info.undelivered).toEqual({
        ids: [...ids.slice(count), 'last'],
        events: ids.length + 1 - count,
        overflowed: false,
      })
      expect([await last, await inQueue]).toEqual(['undelivered', 'undelivered'])
      expect(await stream.sendConfirmed(event('late'))).toBe('undelivered')
      // What was acknowledged is there to be read, whatever came after; a reset does not take it away.
      client.resume()
      await waitFor('the end', () => client.destroyed)
      expect(idsOf(parseChunked(received()).body).length).toBeGreaterThanOrEqual(count)
    })

    it('tells of what was dropped', async () => {
      const { open } = await opener(cleanup)
      const { stream, client } = await open({
        fastPath,
        onOverflow: 'drop-oldest',
        maxBufferedEvents: 2,
      })
      client.pause()
      await fillUp(stream)
      const first = stream.sendConfirmed(event('1', 100))
      for (const id of ['2', '3']) stream.send(event(id))
      expect(await first).toBe('dropped')
      expect(stream.dropped).toEqual({ events: 1, bytes: 'id: 1\ndata: \n\n'.length + 100 })
      stream.abort()
      const { dropped, undelivered } = await stream.closed
      expect(dropped.events).toBe(1)
      expect(undelivered?.ids.slice(-2)).toEqual(['2', '3'])
    })

    it('knows after the end too, at once and with no timer left', async () => {
      const { open } = await opener(cleanup)
      const { stream, client } = await open({ fastPath })
      client.pause()
      expect(await stream.sendConfirmed(event('first'))).toBe('delivered')
      await fillUp(stream)
      stream.send(event('queued'))
      stream.abort()
      const { undelivered, delivered } = await stream.closed
      const timers = () => process.getActiveResourcesInfo().filter((each) => each === 'Timeout')
      const before = timers().length
      const [oldest = ''] = undelivered?.ids ?? []
      expect(undelivered?.ids).toContain('queued')
      expect(await stream.delivery(delivered?.id ?? '')).toBe('delivered')
      expect(await stream.delivery(oldest)).toBe('undelivered')
      expect(await stream.delivery('queued')).toBe('undelivered')
      expect(await stream.delivery('never sent')).toBe('unknown')
      expect(timers().length).toBeLessThanOrEqual(before)
    })

    it('remembers 4 096 events on their way and waiting, and errs towards not delivered beyond', async () => {
      const { open } = await opener(cleanup)
      const { stream, client } = await open({ fastPath, notSentLowWater: false })
      client.pause()
      let sent = 0
      for (let result = ''; sent < 10_000 || (sent < 1_000_000 && result === 'sent'); ) {
        sent += 1
        result = stream.send({ id: sent })
      }
      const inFlight = sent - (stream.delivered()?.events ?? 0)
      stream.abort()
      const { undelivered, delivered } = await stream.closed
      expect((delivered?.events ?? 0) + (undelivered?.events ?? 0)).toBe(sent)
      expect(undelivered?.ids.length).toBeLessThanOrEqual(4_096)
      expect(undelivered?.ids.at(-1)).toBe(String(sent))
      expect(inFlight).toBeGreaterThan(4_096)
      expect(undelivered?.overflowed).toBe(true)
    })

    it("knows nothing any more after a write of somebody else's that it cannot place", async () => {
      const { open } = await opener(cleanup)
      const { stream, res } = await open({ fastPath })
      expect(await stream.sendConfirmed(event('1'))).toBe('delivered')
      res.write(': foreign\n\n')
      expect(await stream.sendConfirmed(event('2'))).toBe('unknown')
      expect(stream.delivered()).toBeUndefined()
      const info = await stream.close()
      expect([info.reason, info.delivered, info.undelivered]).toEqual([
        'ended',
        undefined,
        undefined,
      ])
    })

    it('takes a last look when the client ends the connection', async () => {
      const { open } = await opener(cleanup)
      const { stream, client, received } = await open({ fastPath })
      stream.send(event('1'))
      await waitFor('the event', () => received().includes('id: 1'))
      client.end()
      const { reason, delivered } = await stream.closed
      expect([reason, delivered?.id]).toEqual(['client-closed', '1'])
    })

    it('is complete after close(), to a client that takes its time', async () => {
      const { open } = await opener(cleanup)
      const request = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
      const { stream, client, received, socket } = await open({ fastPath }, request)
      applySocketOptions(socket, { sendBuffer: 8_192 })
      client.pause()
      const ids = await fillUp(stream, 2_000)
      for (let id = 0; id < 40; id++) {
        ids.push(`t${id}`)
        stream.send(event(`t${id}`, 2_000))
      }
      const closed = stream.close()
      expect([stream.state, stream.send(event('late')), await stream.writable()]).toEqual([
        'closing',
        'closed',
        false,
      ])
      const reading = setInterval(() => {
        client.resume()
        setTimeout(() => client.pause(), 2)
      }, 20)
      cleanup.push(() => clearInterval(reading))
      const info = await closed
      clearInterval(reading)
      client.resume()
      expect(info).toMatchObject({
        reason: 'ended',
        delivered: { id: 't39', events: ids.length },
        undelivered: { ids: [], events: 0, overflowed: false },
      })
      await waitFor('the end', () => client.resume().readableEnded)
      const parsed = parseChunked(received())
      expect([parsed.complete, parsed.rest.length, idsOf(parsed.body)]).toEqual([true, 0, ids])
    })
  })
}

describe('delivery is unknown', () => {
  const pem = (name: string): Buffer =>
    readFileSync(new URL(`../support/tls/${name}.pem`, import.meta.url))
  const streamOf = async (
    server: Server | http2.Http2Server,
    where: number | string,
    connect: (port: number) => void,
  ): Promise<EventStream> => {
    const made = new Promise<EventStream>((resolve) => {
      ;(server as http.Server).on('request', (req, res) => resolve(createEventStream(req, res)))
    })
    await new Promise<void>((resolve) => void server.listen(where as number, () => resolve()))
    cleanup.push(() => server.close())
    connect((server.address() as AddressInfo).port)
    return made
  }
  const get = (port: number, secure: boolean): void => {
    const request = secure
      ? https.get({ port, host: '127.0.0.1', rejectUnauthorized: false })
      : http.get({ port, host: '127.0.0.1', headers: { 'accept-encoding': 'gzip' } })
    request.on('response', (res) => res.resume()).on('error', () => {})
    cleanup.push(() => request.destroy())
  }

  const cases: [string, () => Promise<EventStream>][] = [
    [
      'over TLS',
      () => {
        const server = https.createServer({ key: pem('key'), cert: pem('cert') })
        return streamOf(server, 0, (port) => get(port, true))
      },
    ],
    [
      'over HTTP/2',
      () =>
        streamOf(http2.createServer(), 0, (port) => {
          const session = http2.connect(`http://127.0.0.1:${port}`)
          session.on('error', () => {})
          session
            .request()
            .resume()
            .on('error', () => {})
          cleanup.push(() => session.destroy())
        }),
    ],
    [
      'over a Unix socket',
      () => {
        const path = join(tmpdir(), `tcp-sse-${process.pid}.sock`)
        return streamOf(http.createServer(), path, () => {
          const client = net.connect(path)
          client.on('error', () => {})
          client.resume().write(GET)
          cleanup.push(() => client.destroy())
        })
      },
    ],
    [
      'behind a compressor',
      async () => {
        const app = express()
        const server = http.createServer(app)
        // Our `no-transform` keeps it away, so it has to be forced.
        app.use(compression({ filter: () => true, threshold: 0 }))
        const made = new Promise<EventStream>((resolve) => {
          app.get('/', (req, res) => {
            resolve(createEventStream(req, res, { headers: { 'cache-control': 'no-cache' } }))
          })
        })
        const port = await listen(server)
        get(port, false)
        return made
      },
    ],
  ]
  for (const [title, make] of cases) {
    it(title, async () => {
      const stream = await make()
      expect(stream.send(event('1'))).toBe('sent')
      expect(await stream.sendConfirmed(event('2'))).toBe('unknown')
      expect(await stream.delivery('1')).toBe('unknown')
      expect(stream.delivered()).toBeUndefined()
      const { reason, delivered, undelivered } = await stream.close()
      expect([reason, delivered, undelivered]).toEqual(['ended', undefined, undefined])
    })
  }

  it.skipIf(capabilities().addon)('without the addon', async () => {
    const { open } = await opener(cleanup)
    const { stream } = await open()
    expect(await stream.sendConfirmed(event('1'))).toBe('unknown')
    expect(stream.delivered()).toBeUndefined()
  })

  it('in a pipelined response whose turn has not come', async () => {
    const { open } = await opener(cleanup)
    const first = await open()
    const second = await open({}, GET, first.client)
    expect(await second.stream.sendConfirmed(event('2'))).toBe('unknown')
    await first.stream.close()
    const closed = second.stream.close()
    await waitFor('the event', () => first.received().includes('id: 2'))
    expect((await closed).reason).toBe('ended')
  })
})
