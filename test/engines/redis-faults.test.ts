// What happens to Redis, to its connections and to its data, and what a feed makes of it.
import { expect, test } from 'vitest'
import { type RedisHubOptions, redisHub } from '../../src/hub/redis/index.js'
import { describeWithEngine } from '../support/describe-with-engine.js'
import { closing, feedOf, numbers, outlastTheLog, say, started } from '../support/engine-feeds.js'
import { type EngineServer, startRedis } from '../support/engine-servers.js'
import {
  hubOver,
  type RedisClientName,
  redisClientNames,
  redisClients,
} from '../support/redis-clients.js'
import { Relay } from '../support/relay.js'

/** Short, so that the tests are. */
const OPTIONS = { blockFor: 400, answerWithin: 600, reconnectWithin: 200, checkEvery: 1_000 }
/** A dead connection is noticed after `blockFor + answerWithin`; the rest is for a busy machine. */
const BOUND = OPTIONS.blockFor + OPTIONS.answerWithin + 2_000
const KEY = '{tcp-sse:0}c:news'

const redis = (...more: string[]): Promise<EngineServer> => started(startRedis(...more))

async function relayTo(server: EngineServer): Promise<Relay> {
  const relay = await Relay.open(server.port)
  closing.push(() => relay.close())
  return relay
}

const over = (name: RedisClientName, port: number, more: RedisHubOptions = {}) =>
  hubOver(name, port, { ...OPTIONS, ...more })

/** Waits until a server has so many entries, markers included. */
async function hasEntries(server: EngineServer, count: number): Promise<void> {
  await expect.poll(() => server.ask(`XLEN ${KEY}`), { timeout: 10_000 }).toBe(`:${count}\r\n`)
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'taken',
    (error: { code?: string }) => String(error.code),
  )
}

for (const name of redisClientNames) {
  describeWithEngine('redis-server', `faults of Redis, with ${name}`, () => {
    test('a server that is killed while hundreds of events are in flight has each once, in order', async () => {
      const server = await redis()
      const relay = await relayTo(server)
      const { feed } = await feedOf(over(name, relay.port))
      const other = await feedOf(over(name, server.port))
      await say(feed, 'event 0')
      const published = numbers(1, 600).map((text) => say(feed, text))
      await Promise.all([published[99], server.restart()])
      await Promise.all(published)
      await other.heard.until('all', () => other.heard.entries.length >= 601)
      expect(other.heard.texts).toEqual(numbers(0, 600))
      expect(other.heard.gaps).toEqual([])
    })

    test('answers that are lost with their connection make no double', async () => {
      const server = await redis()
      const relay = await relayTo(server)
      const { feed, heard } = await feedOf(over(name, relay.port))
      await say(feed, 'event 0')
      relay.loseAnswers()
      const published = numbers(1, 20).map((text) => say(feed, text))
      // They have arrived: the server says so.
      await hasEntries(server, 22)
      relay.reset()
      const positions = await Promise.all(published)
      await heard.until('all', () => heard.entries.length >= 21)
      expect(await server.ask(`XLEN ${KEY}`)).toBe(':22\r\n')
      expect(heard.texts).toEqual(numbers(0, 20))
      expect(heard.entries.slice(1).map(({ position }) => position)).toEqual(positions)
    })

    test('what arrives after its connection was given up makes no double', async () => {
      const server = await redis()
      const relay = await relayTo(server)
      const { feed, heard } = await feedOf(over(name, relay.port))
      await say(feed, 'event 0')
      const goOn = relay.holdRequests()
      await Promise.all(numbers(1, 5).map((text) => say(feed, text)))
      goOn()
      await say(feed, 'event 6')
      await heard.until('all', () => heard.texts.includes('event 6'))
      expect(heard.texts).toEqual(numbers(0, 6))
      expect(await server.ask(`XLEN ${KEY}`)).toBe(':8\r\n')
    })

    test('events flow again over connections that died without a sign, within the bound', async () => {
      const server = await redis()
      const relay = await relayTo(server)
      const { heard } = await feedOf(over(name, relay.port))
      const other = await feedOf(over(name, server.port))
      await say(other.feed, 'event 0')
      await heard.until('the first', () => heard.entries.length === 1)
      relay.blackHole()
      const began = performance.now()
      await say(other.feed, 'event 1')
      await heard.until('the second', () => heard.entries.length === 2)
      expect(performance.now() - began).toBeLessThan(BOUND)
      expect(heard.gaps).toEqual([])
      expect(heard.states).toContain('down')
    })

    test('a server that stands still costs time and no event', async () => {
      const server = await redis()
      const { feed, heard } = await feedOf(over(name, server.port))
      await say(feed, 'event 0')
      server.pause()
      const published = numbers(1, 20).map((text) => say(feed, text))
      const late = say(feed, 'late', 300)
      expect(await codeOf(late)).toMatch(/^ERR_(HUB_DOWN|PUBLISH_UNKNOWN)$/)
      await heard.until('down', () => heard.states.includes('down'))
      server.resume()
      await Promise.all(published)
      await say(feed, 'event 21')
      await heard.until('all', () => heard.texts.includes('event 21'))
      expect(heard.texts.filter((text) => text !== 'late')).toEqual(numbers(0, 21))
      expect(heard.texts.filter((text) => text === 'late').length).toBeLessThanOrEqual(1)
    })

    test('a promoted replica without the last events reports them as lost, and their positions are unknown', async () => {
      const [first, second] = [await redis(), await redis()]
      await second.ask(`REPLICAOF 127.0.0.1 ${first.port}`)
      const relay = await relayTo(first)
      const { feed, heard } = await feedOf(over(name, relay.port))
      const kept = await Promise.all(numbers(1, 5).map((text) => say(feed, text)))
      await hasEntries(second, 6)
      await second.ask('REPLICAOF NO ONE')
      const lost = await Promise.all([say(feed, 'lost 1'), say(feed, 'lost 2')])
      await heard.until('all', () => heard.entries.length === 7)
      relay.moveTo(second.port)
      await first.kill()
      await heard.until('the gap', () => heard.gaps.length > 0)
      const fresh = await Promise.all(numbers(6, 8).map((text) => say(feed, text)))
      await heard.until('what is new', () => heard.entries.length === 10)
      expect(heard.gaps).toEqual([{ after: lost[1], next: expect.any(String), before: 7 }])
      const upTo = fresh[2] ?? ''
      const read = (after = '') => feed.read({ after, upTo, limit: 10, timeout: 5_000 })
      for (const after of lost) expect((await read(after)).outcome).toBe('unknown')
      for (const [index, after] of kept.entries()) {
        const { outcome, entries } = await read(after)
        expect(outcome).toBe('complete')
        const texts = entries.map(({ text }) => text)
        expect(texts).toEqual([...numbers(index + 2, 5), ...numbers(6, 8)])
      }
    })

    test('a promoted replica whose clock is behind: what is published then is delivered', async () => {
      const [first, second] = [await redis(), await redis()]
      await second.ask(`REPLICAOF 127.0.0.1 ${first.port}`)
      const relay = await relayTo(first)
      const { feed, heard } = await feedOf(over(name, relay.port))
      await say(feed, 'event 0')
      await hasEntries(second, 2)
      await second.ask('REPLICAOF NO ONE')
      // As if the first server's clock were a minute ahead.
      await first.ask(`XADD ${KEY} ${Date.now() + 60_000}-0 o 1`)
      const lost = await say(feed, 'lost')
      await heard.until('it', () => heard.texts.includes('lost'))
      relay.moveTo(second.port)
      await heard.until('the gap', () => heard.gaps.length > 0)
      const fresh = await say(feed, 'event 1')
      await heard.until('what is new', () => heard.texts.includes('event 1'))
      expect(feed.compare(fresh, lost)).toBeGreaterThan(0)
    })

    test('a server that becomes a replica and a master again is no loss', async () => {
      const [server, other] = [await redis(), await redis()]
      const { feed, heard } = await feedOf(over(name, server.port))
      await say(feed, 'event 0')
      await other.ask(`REPLICAOF 127.0.0.1 ${server.port}`)
      await hasEntries(other, 2)
      await server.ask(`REPLICAOF 127.0.0.1 ${other.port}`)
      const published = numbers(1, 5).map((text) => say(feed, text))
      await heard.until('down', () => heard.states.includes('down'))
      await server.ask('REPLICAOF NO ONE')
      await Promise.all(published)
      await heard.until('all', () => heard.entries.length >= 6)
      expect(heard.texts).toEqual(numbers(0, 5))
    })

    test('events that were published while everything was flushed are in the log or refused', async () => {
      const server = await redis()
      const { feed, heard } = await feedOf(over(name, server.port))
      const other = await feedOf(over(name, server.port))
      await say(feed, 'event 0')
      const published = numbers(1, 200).map((text) => say(feed, text))
      await server.ask('FLUSHALL')
      const outcomes = await Promise.all(published.map(codeOf))
      await say(feed, 'event 201')
      for (const each of [heard, other.heard]) {
        await each.until('the last', () => each.texts.includes('event 201'))
        const seen = numbers(0, 201).filter((text) => each.texts.includes(text))
        expect(each.texts).toEqual(seen)
        if (each.gaps.length === 0) {
          const taken = published.map((_, index) => outcomes[index] === 'taken')
          expect(seen.length).toBeGreaterThanOrEqual(taken.filter(Boolean).length)
        }
      }
    })

    test('a listener that was slow for longer than the log remembers gets a gap, and what is left', async () => {
      const server = await redis()
      const { feed } = await feedOf(over(name, server.port), 'news', { maxEvents: 100 })
      const slow = await feedOf(over(name, server.port), 'news', { maxEvents: 100 })
      expect(await outlastTheLog(feed, slow)).toBeGreaterThan(0)
    })

    test('more channels than one connection reads are read over several', async () => {
      const server = await redis()
      const hub = over(name, server.port, { channelsPerConnection: 20 })
      const feeds = await Promise.all(numbers(1, 90).map((channel) => feedOf(hub, channel)))
      const before = Number(
        (await server.ask('INFO clients')).match(/connected_clients:(\d+)/)?.[1],
      )
      // One for commands, five that read, and the one that asks.
      expect(before).toBe(7)
      await Promise.all(feeds.map(({ feed }, index) => say(feed, `to ${index}`)))
      for (const [index, { heard }] of feeds.entries()) {
        await heard.until('its own', () => heard.entries.length > 0)
        expect(heard.texts).toEqual([`to ${index}`])
      }
    })
  })
}

describeWithEngine('redis-server', 'clients that do as they like', () => {
  test('one that sends everything twice makes no double for listeners and readers', async () => {
    const server = await redis()
    const { connect } = connectorTo(server.port)
    const twice = {
      async connect() {
        const { command, close } = await connect()
        return {
          close,
          command: (args: readonly string[]) => {
            if (args[0] === 'XADD' && args.includes('e')) command(args).catch(() => {})
            return command(args)
          },
        }
      },
    }
    const { feed, heard } = await feedOf(redisHub(twice, OPTIONS))
    for (const text of numbers(1, 5)) await say(feed, text)
    await heard.until('all', () => heard.texts.includes('event 5'))
    expect(await server.ask(`XLEN ${KEY}`)).toBe(':11\r\n')
    expect(heard.texts).toEqual(numbers(1, 5))
    const after = heard.startedAt ?? ''
    const upTo = heard.entries.at(-1)?.position ?? ''
    const page = await feed.read({ after, upTo, limit: 20, timeout: 5_000 })
    expect(page.entries.map(({ text }) => text)).toEqual(numbers(1, 5))
  })

  test('without permission to end connections nothing is sent again, and the publication rejects', async () => {
    const server = await redis()
    const relay = await relayTo(server)
    const { feed, heard } = await feedOf(over('node-redis 6', relay.port))
    await say(feed, 'event 0')
    await server.ask('ACL SETUSER default -client|kill')
    const goOn = relay.holdRequests()
    const published = say(feed, 'event 1')
    expect(await codeOf(published)).toBe('ERR_PUBLISH_UNKNOWN')
    goOn()
    await say(feed, 'event 2')
    await heard.until('the last', () => heard.texts.includes('event 2'))
    expect(heard.texts.filter((text) => text === 'event 1').length).toBeLessThanOrEqual(1)
  })
})

/** A connector over node-redis, as a user may write one. */
function connectorTo(port: number) {
  return {
    async connect() {
      const client = redisClients['node-redis 6'](port) as ReturnType<
        typeof import('redis').createClient
      >
      client.on('error', () => {})
      await client.connect()
      return {
        command: (args: readonly string[]) => client.sendCommand([...args]) as Promise<unknown>,
        close: () => client.destroy(),
      }
    },
  }
}
