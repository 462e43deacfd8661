// What happens to NATS, to its connections and to its data, and what a feed makes of it.
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { jetstream } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { expect, test } from 'vitest'
import { type NatsHubOptions, natsHub } from '../../src/hub/nats/index.js'
import { describeWithEngine } from '../support/describe-with-engine.js'
import { closing, feedOf, numbers, outlastTheLog, say, started } from '../support/engine-feeds.js'
import { type EngineServer, startNats } from '../support/engine-servers.js'
import { natsHubOver } from '../support/nats-clients.js'
import { Relay } from '../support/relay.js'

/** Short, so that the tests are. */
const OPTIONS = { heartbeat: 400, answerWithin: 600, retryWithin: 200 }
/** A feed without a sign of life is made anew after 2.5 heartbeats; the next answer is waited for, and a new connection made. */
const BOUND = 2.5 * OPTIONS.heartbeat + OPTIONS.answerWithin + 3_000

const nats = (): Promise<EngineServer> => started(startNats())

const over = (port: number, more: NatsHubOptions = {}) => natsHubOver(port, { ...OPTIONS, ...more })

describeWithEngine('nats-server', 'faults of NATS', () => {
  test('a server that is killed while hundreds of events are in flight has each once, in order', async () => {
    const server = await nats()
    const { feed } = await feedOf(await over(server.port))
    const { heard } = await feedOf(await over(server.port))
    const published = numbers(1, 600).map((text) => say(feed, text))
    await Promise.all([published[99], server.restart()])
    await Promise.all(published)
    await heard.until('all', () => heard.entries.length >= 600)
    expect(heard.texts).toEqual(numbers(1, 600))
    expect(heard.gaps).toEqual([])
  })

  test('answers that are lost with their connection make no double', async () => {
    const server = await nats()
    const relay = await Relay.open(server.port)
    closing.push(() => relay.close())
    const { feed } = await feedOf(await over(relay.port))
    const { heard } = await feedOf(await over(server.port))
    await say(feed, 'event 0')
    relay.loseAnswers()
    const published = numbers(1, 20).map((text) => say(feed, text))
    await heard.until('one that is not answered', () => heard.entries.length > 1)
    relay.reset()
    await Promise.all(published)
    await heard.until('all', () => heard.entries.length >= 21)
    expect(heard.texts).toEqual(numbers(0, 20))
  })

  test('events flow again over a connection that died without a sign, within the bound', async () => {
    const server = await nats()
    const relay = await Relay.open(server.port)
    closing.push(() => relay.close())
    const { heard } = await feedOf(await over(relay.port))
    const other = await feedOf(await over(server.port))
    await say(other.feed, 'event 0')
    await heard.until('the first', () => heard.entries.length === 1)
    relay.blackHole()
    const began = performance.now()
    await say(other.feed, 'event 1')
    await heard.until('the second', () => heard.entries.length === 2)
    expect(performance.now() - began).toBeLessThan(BOUND)
    expect(heard.gaps).toEqual([])
  })

  test('a server that stands still costs time and no event', async () => {
    const server = await nats()
    const { feed, heard } = await feedOf(await over(server.port))
    await say(feed, 'event 0')
    server.pause()
    const published = numbers(1, 20).map((text) => say(feed, text, 20_000))
    await heard.until('down', () => heard.states.includes('down'))
    server.resume()
    await Promise.all(published)
    await heard.until('all', () => heard.entries.length >= 21)
    expect(heard.texts).toEqual(numbers(0, 20))
  })

  test('a stream that was deleted and made again during publications is a gap and a new log', async () => {
    const server = await nats()
    const { feed, heard } = await feedOf(await over(server.port))
    const old = await say(feed, 'event 0')
    const connection = await connect({ servers: `127.0.0.1:${server.port}` })
    closing.push(() => connection.close())
    const manager = await jetstream(connection).jetstreamManager()
    await manager.streams.delete('TCP_SSE')
    const fresh = await say(feed, 'event 1')
    await heard.until('what is new', () => heard.texts.includes('event 1'))
    expect(heard.texts).toEqual(['event 0', 'event 1'])
    expect(heard.gaps.length).toBe(1)
    expect(feed.compare(old, fresh)).toBeNaN()
    const page = await feed.read({ after: old, upTo: fresh, limit: 10, timeout: 5_000 })
    expect(page.outcome).toBe('unknown')
  })

  test('a new log that has already grown past the old one is read from its beginning', async () => {
    const server = await nats()
    const { feed } = await feedOf(await over(server.port))
    const slow = await feedOf(await over(server.port))
    await outlastTheLog(feed, slow)
  })

  for (const left of [0, 5]) {
    test(`a server that has lost all but ${left} events: it is told, and everything new is delivered`, async () => {
      const server = await nats()
      const { feed } = await feedOf(await over(server.port))
      const slow = await feedOf(await over(server.port))
      const stored = join(server.folder, 'jetstream/$G/streams/TCP_SSE/msgs')
      const lose = async (): Promise<void> => {
        await server.kill()
        rmSync(stored, { recursive: true })
        if (left > 0) cpSync(`${server.folder}/kept`, stored, { recursive: true })
        await server.start()
      }
      for (const text of numbers(1, 5)) await say(feed, text)
      await server.kill()
      cpSync(stored, `${server.folder}/kept`, { recursive: true })
      await server.start()
      for (const text of numbers(6, 8)) await say(feed, text)
      await slow.heard.until('event 8', () => slow.heard.texts.includes('event 8'))
      let goOn = (): void => {}
      slow.heard.pause = new Promise((resolve) => {
        goOn = resolve
      })
      const lost = await say(feed, 'lost')
      await slow.heard.until('it', () => slow.heard.texts.includes('lost'))
      await lose()
      // More than were lost: their numbers are those of others now.
      const fresh = await Promise.all(numbers(11, 30).map((text) => say(feed, text)))
      slow.heard.pause = undefined
      goOn()
      await slow.heard.until('the last', () => slow.heard.texts.includes('event 30'))
      expect(slow.heard.texts).toEqual([...numbers(1, 8), 'lost', ...numbers(11, 30)])
      expect(slow.heard.gaps.length).toBe(1)
      const upTo = fresh.at(-1) ?? ''
      const page = await feed.read({ after: lost, upTo, limit: 100, timeout: 5_000 })
      expect(page.outcome).toBe('unknown')
    })
  }

  test('a number that the server gave twice, because it had lost the first, is not an earlier position', async () => {
    const server = await nats()
    const { feed, heard } = await feedOf(await over(server.port))
    const lost = await say(feed, 'lost')
    await heard.until('it', () => heard.entries.length === 1)
    const [era, sequence, check] = lost.split('.')
    const other = `${era}.${sequence}.${check === '1' ? '2' : '1'}`
    const read = (after: string) => feed.read({ after, upTo: lost, limit: 10, timeout: 5_000 })
    expect((await read(other)).outcome).toBe('unknown')
    expect((await read(lost)).outcome).toBe('complete')
  })

  test('a listener that was slow for longer than the stream remembers gets a gap, and what is left', async () => {
    const server = await nats()
    const { feed } = await feedOf(await over(server.port), 'news', { maxEvents: 100 })
    const slow = await feedOf(await over(server.port), 'news', { maxEvents: 100 })
    let goOn = (): void => {}
    slow.heard.pause = new Promise((resolve) => {
      goOn = resolve
    })
    await say(feed, 'event 1')
    await slow.heard.until('the first', () => slow.heard.entries.length > 0)
    await Promise.all(numbers(2, 1_000).map((text) => say(feed, text)))
    slow.heard.pause = undefined
    goOn()
    await slow.heard.until('the last', () => slow.heard.texts.includes('event 1000'))
    const { before = 0 } = slow.heard.gaps[0] ?? {}
    const left = slow.heard.texts.slice(before)
    expect(slow.heard.texts.slice(0, before)).toEqual(numbers(1, before))
    expect(left.length).toBeGreaterThanOrEqual(100)
    expect(left).toEqual(numbers(1_000 - left.length + 1, 1_000))
  })

  test('an event that is larger than the server takes is refused at once', async () => {
    const server = await nats()
    const { feed } = await feedOf(await over(server.port))
    const sent = say(feed, 'x'.repeat(2 * 1024 * 1024))
    await expect(sent).rejects.toMatchObject({ code: 'ERR_EVENT_INVALID' })
  })

  test('channels of any name are apart, and one that is read by its pattern is not there', async () => {
    const server = await nats()
    const hub = await over(server.port)
    const names = ['a.b', 'a', '>', '*', 'ü b', '', 'a=2eb']
    const feeds = await Promise.all(names.map((name) => feedOf(hub, name)))
    await Promise.all(feeds.map(({ feed }, index) => say(feed, `to ${index}`)))
    for (const [index, { heard }] of feeds.entries()) {
      await heard.until('its own', () => heard.entries.length > 0)
      expect(heard.texts).toEqual([`to ${index}`])
    }
  })

  test('a connection that is closed for good is down, and says so', async () => {
    const server = await nats()
    const connection = await connect({ servers: `127.0.0.1:${server.port}` })
    const { feed, heard } = await feedOf(natsHub(jetstream(connection), OPTIONS))
    await connection.close()
    await heard.until('down', () => heard.states.at(-1) === 'down')
    await expect(say(feed, 'event', 300)).rejects.toMatchObject({ code: 'ERR_HUB_DOWN' })
  })
})
