// Channels over Redis, as clients see them.
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { createChannel, createEventStream } from '../../src/index.js'
import { describeWithEngine } from '../support/describe-with-engine.js'
import { closing, started } from '../support/engine-feeds.js'
import { type EngineServer, startRedis } from '../support/engine-servers.js'
import { hubOver } from '../support/redis-clients.js'
import { Relay } from '../support/relay.js'
import { waitFor } from '../support/wait-for.js'

const CLIENT = 'node-redis 6'
const OPTIONS = { blockFor: 400, answerWithin: 600, reconnectWithin: 200, checkEvery: 1_000 }

const redis = (): Promise<EngineServer> => started(startRedis())

/** A server process as it would be: a hub and a channel of its own. */
async function serve(port: number) {
  const hub = hubOver(CLIENT, port, OPTIONS)
  const channel = createChannel({ hub, name: 'news', history: { maxEvents: 1_000 } })
  const replays: string[] = []
  const server = http.createServer((req, res) => {
    const subscription = channel.subscribe(createEventStream(req, res))
    void subscription.ready.then(({ replay }) => replays.push(replay))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 4_096, resolve))
  closing.push(async () => {
    server.closeAllConnections()
    server.close()
    await hub.close()
  })
  await waitFor('a live channel', () => channel.state === 'live')
  return { channel, replays, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
}

/** One client; `text` is what it has been sent so far. */
function client(url: string, lastEventId?: string) {
  const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
  const agent = new http.Agent()
  const seen = { text: '' }
  const request = http.get(url, { agent, headers: { accept: 'text/event-stream', ...headers } })
  request.on('error', () => {})
  request.on('response', (response) => {
    response.setEncoding('utf8')
    response.on('error', () => {})
    response.on('data', (text) => {
      seen.text += text
    })
  })
  closing.push(() => request.destroy())
  return seen
}

const dataOf = (text: string): string[] =>
  [...text.matchAll(/^data: ?(n\d+)$/gm)].map(([, n = '']) => n)

/** Calls of a command that reads, of all connections. */
async function reads(server: EngineServer): Promise<number> {
  const stats = await server.ask('INFO commandstats')
  const counts = [...stats.matchAll(/cmdstat_xrev?range:calls=(\d+)/g)]
  return counts.reduce((sum, [, calls]) => sum + Number(calls), 0)
}

describeWithEngine('redis-server', 'channels over Redis', () => {
  test('a thousand clients that come back with one id cost the server a handful of reads', async () => {
    const server = await redis()
    const first = await serve(server.port)
    const ids: string[] = []
    for (let n = 1; n <= 50; n++) {
      const { id } = await first.channel.broadcast({ data: `n${n}` })
      ids.push(id ?? '')
    }
    // Another process, which has seen none of them.
    const second = await serve(server.port)
    const before = await reads(server)
    const seen = Array.from({ length: 1_000 }, () => client(second.url, ids[9]))
    await waitFor('all', () => seen.every(({ text }) => dataOf(text).length === 40))
    expect((await reads(server)) - before).toBeLessThanOrEqual(3)
    const expected = Array.from({ length: 40 }, (_, index) => `n${index + 11}`)
    for (const { text } of seen) expect(dataOf(text)).toEqual(expected)
    expect(new Set(second.replays)).toEqual(new Set(['complete']))
  })

  test('after a failover that lost events nobody is told complete who may have missed something', async () => {
    const [old, promoted] = [await redis(), await redis()]
    await promoted.ask(`REPLICAOF 127.0.0.1 ${old.port}`)
    const relay = await Relay.open(old.port)
    closing.push(() => relay.close())
    const before = await serve(relay.port)
    const watching = client(before.url)
    const kept: string[] = []
    for (let n = 1; n <= 5; n++)
      kept.push((await before.channel.broadcast({ data: `n${n}` })).id ?? '')
    await expect
      .poll(() => promoted.ask('XLEN {tcp-sse:0}c:news'), { timeout: 10_000 })
      .toBe(':6\r\n')
    await promoted.ask('REPLICAOF NO ONE')
    const lost: string[] = []
    for (let n = 101; n <= 103; n++)
      lost.push((await before.channel.broadcast({ data: `n${n}` })).id ?? '')
    relay.moveTo(promoted.port)
    await old.kill()
    await waitFor('the gap', () => watching.text.includes('event: gap'))
    const after = await serve(relay.port)
    for (let n = 6; n <= 8; n++) await after.channel.broadcast({ data: `n${n}` })
    // A process that has lived through it has the lost events in its memory; a new one has not.
    for (const { url } of [before, after]) {
      for (const id of lost) {
        const seen = client(url, id)
        await waitFor('to be told', () => seen.text.includes('event: gap'))
      }
      for (const [index, id] of kept.entries()) {
        const seen = client(url, id)
        await waitFor('the last', () => dataOf(seen.text).includes('n8'))
        const told = seen.text.includes('event: gap')
        const missed = [2, 3, 4, 5, 6, 7, 8].filter((n) => n > index + 1).map((n) => `n${n}`)
        const got = dataOf(seen.text).filter((n) => n.length === 2)
        expect({ told, got }).toEqual({ told, got: missed })
      }
    }
    expect(dataOf(watching.text)).toEqual(
      [1, 2, 3, 4, 5, 101, 102, 103, 6, 7, 8].map((n) => `n${n}`),
    )
  })
})
