// The duties of a hub towards publishers and listeners.
import assert from 'node:assert/strict'
import type { Entry, Feed, Position } from '../hub/hub.js'
import { nextTurn } from '../internal/scheduling.js'
import type { Case } from './hub-scene.js'

/** Publishes events `data: 1`, `data: 2`, … at once. */
export function publishMany(feed: Feed, count: number, from = 1, name = 'e'): Promise<Position[]> {
  const numbers = Array.from({ length: count }, (_, index) => from + index)
  return Promise.all(
    numbers.map((n) => feed.publish({ text: textOf(n), token: `${name}:${n}` }, 10_000)),
  )
}

export function textOf(n: number): string {
  return `data: ${n}\n\n`
}

/** How many entries may still reach a listener that has asked for a pause. */
const READ_ALREADY = 256

export const feedCases: readonly Case[] = [
  [
    'delivers an entry unchanged to every feed, at the position that its publisher gets',
    async ({ open }) => {
      const [here, there] = [await open(), await open()]
      const entry = { text: 'event: ü\ndata: "🙂"\ndata: b\n\n', token: 'a:1', key: 'k' }
      const position = await here.feed.publish(entry, 10_000)
      for (const { heard } of [here, there]) {
        await heard.until('the entry', () => heard.entries.length === 1)
        assert.deepEqual(plain(heard.entries[0] as Entry), { ...entry, position })
      }
      assert.match(position, /^[A-Za-z0-9._~-]{1,80}$/)
    },
  ],
  [
    'appends entries of one feed in the order of the calls, and gives all listeners one order',
    async ({ open }) => {
      const feeds = [await open(), await open(), await open()] as const
      const [one, two] = feeds
      await Promise.all([publishMany(one.feed, 100, 1, 'x'), publishMany(two.feed, 100, 1, 'y')])
      for (const { heard } of feeds) {
        await heard.until('all entries', () => heard.entries.length >= 200)
      }
      const tokens = feeds.map(({ heard }) => heard.entries.map(({ token }) => token))
      assert.deepEqual(tokens[1], tokens[0])
      assert.deepEqual(tokens[2], tokens[0])
      for (const name of ['x', 'y']) {
        const own = tokens[0]?.filter((token) => token.startsWith(name))
        const expected = Array.from({ length: 100 }, (_, index) => `${name}:${index + 1}`)
        assert.deepEqual(own, expected)
      }
    },
  ],
  [
    'starts a feed at the top of the log, and delivers only later entries',
    async ({ open }) => {
      const early = await open()
      const [, top] = await publishMany(early.feed, 2)
      const late = await open()
      assert.equal(late.feed.compare(late.heard.startedAt ?? '', top ?? ''), 0)
      await publishMany(early.feed, 1, 3)
      await late.heard.until('an entry', () => late.heard.entries.length === 1)
      assert.deepEqual(late.heard.texts, [textOf(3)])
      assert.ok(early.feed.compare(early.heard.startedAt ?? '', top ?? '') < 0)
    },
  ],
  [
    'keeps channels apart, and the feeds of one channel independent',
    async ({ hub, open, channel }) => {
      const [one, other] = [await open(), await open(`${channel}-other`)]
      const again = await open()
      again.feed.close()
      again.heard.close()
      await publishMany(one.feed, 3)
      await publishMany(other.feed, 1, 9)
      await one.heard.until('its own', () => one.heard.entries.length === 3)
      await other.heard.until('its own', () => other.heard.entries.length === 1)
      assert.deepEqual(one.heard.texts, [1, 2, 3].map(textOf))
      assert.deepEqual(other.heard.texts, [textOf(9)])
      assert.equal((await hub()).scope, (await hub()).scope)
    },
  ],
  [
    'carries a large event whole',
    async ({ open }) => {
      const { feed, heard } = await open()
      const text = `data: ${'€'.repeat(100_000)}\n\n`
      await feed.publish({ text, token: 'large' }, 10_000)
      await heard.until('it', () => heard.entries.length === 1)
      assert.equal(heard.texts[0], text)
    },
  ],
  [
    'pauses for a listener that is behind, and goes on where it was',
    async ({ open }) => {
      const [publisher, slow] = [await open(), await open()]
      let goOn = (): void => {}
      slow.heard.pause = new Promise((resolve) => {
        goOn = resolve
      })
      const count = READ_ALREADY * 3
      for (let from = 1; from <= count; from += 64) await publishMany(publisher.feed, 64, from)
      await publisher.heard.until('all', () => publisher.heard.entries.length === count)
      for (let turn = 0; turn < 50; turn++) await nextTurn()
      assert.ok(slow.heard.entries.length <= READ_ALREADY, `${slow.heard.entries.length} came`)
      slow.heard.pause = undefined
      goOn()
      await slow.heard.until('the rest', () => slow.heard.entries.length === count)
      assert.deepEqual(slow.heard.texts, publisher.heard.texts)
    },
  ],
  [
    'calls no listener after the feed or the hub was closed, and opens nothing more',
    async ({ hub, open, channel }) => {
      const [one, two] = [await open(), await open()]
      one.feed.close()
      one.heard.close()
      await publishMany(two.feed, 1)
      await two.heard.until('the entry', () => two.heard.entries.length === 1)
      await assert.rejects(one.feed.publish({ text: textOf(1), token: 'late' }, 1_000), {
        code: 'ERR_HUB_DOWN',
      })
      const closed = await hub()
      await closed.close()
      const open1 = (): unknown => closed.open(channel, two.heard, { maxEvents: 10 })
      assert.throws(open1, { code: 'ERR_HUB_CLOSED' })
    },
  ],
]

/** Removes undefined properties, because engines may omit them or not. */
function plain(entry: Entry): unknown {
  return JSON.parse(JSON.stringify(entry))
}
