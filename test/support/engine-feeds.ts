// Feeds on engines that a test has started, and what is closed after it, newest first: each may need the one before.
import { afterEach, expect } from 'vitest'
import type { Feed, Hub, Position } from '../../src/hub/hub.js'
import { type OpenFeed, openFeed } from '../../src/testing/feed-recorder.js'
import type { EngineServer } from './engine-servers.js'

/** What closes the running test's servers, hubs and connections. Importing this file registers the hook. */
export const closing: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** A server that runs until the end of the test. */
export async function started(starting: Promise<EngineServer>): Promise<EngineServer> {
  const server = await starting
  closing.push(() => server.stop())
  return server
}

const KEEP = { maxEvents: 1_000 }

/** A feed on a hub that is closed at the end of the test. */
export async function feedOf(hub: Hub, channel = 'news', keep = KEEP): Promise<OpenFeed> {
  closing.push(() => hub.close())
  return openFeed(hub, channel, keep)
}

let tokens = 0
/** Publishes. */
export const say = (feed: Feed, text: string, timeout = 10_000): Promise<Position> =>
  feed.publish({ text, token: `token-${tokens++}` }, timeout)

/** The texts of events from one number to another. */
export const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `event ${from + index}`)

/**
 * Holds a listener up until the log, which keeps 100 events, has forgotten what comes next: it is told so, and gets what is left.
 *
 * @returns how many events it had before it was told
 */
export async function outlastTheLog(feed: Feed, { heard }: OpenFeed): Promise<number> {
  let goOn = (): void => {}
  heard.pause = new Promise((resolve) => {
    goOn = resolve
  })
  await say(feed, 'event 1')
  await heard.until('the first', () => heard.entries.length > 0)
  await Promise.all(numbers(2, 1_000).map((text) => say(feed, text)))
  heard.pause = undefined
  goOn()
  await heard.until('the last', () => heard.texts.includes('event 1000'))
  const { before = 0 } = heard.gaps[0] ?? {}
  const left = heard.texts.slice(before)
  expect(heard.texts.slice(0, before)).toEqual(numbers(1, before))
  expect(left.length).toBeGreaterThanOrEqual(100)
  expect(left).toEqual(numbers(1_000 - left.length + 1, 1_000))
  return before
}
