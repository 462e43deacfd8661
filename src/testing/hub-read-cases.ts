// The duties of a hub towards readers of its logs.
import assert from 'node:assert/strict'
import type { Feed, Page, Position } from '../hub/hub.js'
import { publishMany, textOf } from './hub-feed-cases.js'
import type { Case } from './hub-scene.js'

const TIMEOUT = 10_000

async function readAll(feed: Feed, after: Position, upTo: Position): Promise<Page> {
  const first = await feed.read({ after, upTo, limit: 100, timeout: TIMEOUT })
  const entries = [...first.entries]
  for (let page = first; page.more; ) {
    const last = entries.at(-1)?.position ?? ''
    page = await feed.read({ after: last, upTo, limit: 100, timeout: TIMEOUT })
    assert.equal(page.outcome, 'complete')
    assert.ok(page.entries.length > 0, 'a page without entries says that there are more')
    entries.push(...page.entries)
  }
  return { outcome: first.outcome, entries, more: false }
}

const texts = ({ entries }: Page): string[] => entries.map(({ text }) => text)

/** Strings that clients may send. None is a position, in any engine. */
const INVENTED = [
  '',
  '0',
  '1',
  'x',
  '..',
  '0-1',
  '-1',
  `${'9'.repeat(80)}`,
  'ü',
  '1.1',
  'a b',
  '*',
  '$',
]

export const readCases: readonly Case[] = [
  [
    'reads the entries between two positions, in pages',
    async ({ open }) => {
      const { feed } = await open()
      const at = await publishMany(feed, 6)
      const read = (after: number, upTo: number, limit: number): Promise<Page> =>
        feed.read({ after: at[after] ?? '', upTo: at[upTo] ?? '', limit, timeout: TIMEOUT })
      const first = await read(0, 4, 2)
      assert.deepEqual(
        [first.outcome, texts(first), first.more],
        ['complete', [2, 3].map(textOf), true],
      )
      const second = await read(2, 4, 2)
      assert.deepEqual([texts(second), second.more], [[4, 5].map(textOf), false])
      assert.deepEqual(
        second.entries.map(({ position }) => position),
        [at[3], at[4]],
      )
    },
  ],
  [
    'knows the top, also of an empty log, and a position beyond the bound',
    async ({ open }) => {
      const { feed, heard } = await open()
      const start = heard.startedAt ?? ''
      const nothing = { outcome: 'complete', entries: [], more: false }
      const read = (after: Position, upTo: Position): Promise<Page> =>
        feed.read({ after, upTo, limit: 10, timeout: TIMEOUT })
      assert.deepEqual(await read(start, start), nothing)
      const [one, two] = (await publishMany(feed, 2)) as [Position, Position]
      assert.deepEqual(await read(two, two), nothing)
      assert.deepEqual(await read(two, one), nothing)
      const all = await read(start, two)
      assert.deepEqual([all.outcome, texts(all)], ['complete', [1, 2].map(textOf)])
    },
  ],
  [
    'answers unknown for positions that it never gave, and reads no other channel',
    async ({ open, channel }) => {
      const [one, other] = [await open(), await open(`${channel}-other`)]
      await publishMany(other.feed, 1, 100)
      const [top] = (await publishMany(one.feed, 1)) as [Position]
      const [, foreign] = (await publishMany(other.feed, 2, 101)) as [Position, Position]
      for (const after of [...INVENTED, foreign]) {
        const page = await one.feed.read({ after, upTo: top, limit: 10, timeout: TIMEOUT })
        assert.deepEqual(page, { outcome: 'unknown', entries: [], more: false }, `'${after}'`)
      }
    },
  ],
  [
    'answers partial if it has removed the next entries, and has the newest',
    async ({ open }) => {
      const keep = { maxEvents: 10 }
      const { feed, heard } = await open(undefined, keep)
      const at: Position[] = []
      for (let from = 1; from <= 400; from += 100) at.push(...(await publishMany(feed, 100, from)))
      const top = at[399] ?? ''
      for (const [after, missed] of [
        [heard.startedAt ?? '', 400],
        [at[4] ?? '', 395],
      ] as const) {
        const page = await readAll(feed, after, top)
        const newest = Array.from({ length: page.entries.length }, (_, index) => index)
        assert.deepEqual(
          texts(page).reverse(),
          newest.map((index) => textOf(400 - index)),
        )
        if (page.outcome === 'complete') assert.equal(page.entries.length, missed)
        else if (page.outcome === 'partial') assert.ok(page.entries.length < missed)
        // A removed position may be unknown. A feed that has just seen it must not answer complete.
        if (page.outcome !== 'unknown') assert.ok(page.entries.length >= keep.maxEvents)
      }
      const near = await readAll(feed, at[395] ?? '', top)
      assert.deepEqual([near.outcome, texts(near)], ['complete', [397, 398, 399, 400].map(textOf)])
    },
  ],
  [
    'compares positions in the order of the log, and nothing else',
    async ({ open }) => {
      const { feed, heard } = await open()
      const at = [heard.startedAt ?? '', ...(await publishMany(feed, 12))]
      for (const [i, a] of at.entries()) {
        for (const [j, b] of at.entries())
          assert.equal(Math.sign(feed.compare(a, b)), Math.sign(i - j))
        for (const none of ['', 'x', 'ü', '1.1.1', '~']) {
          assert.ok(Number.isNaN(feed.compare(a, none)), `'${none}'`)
          assert.ok(Number.isNaN(feed.compare(none, a)), `'${none}'`)
        }
      }
    },
  ],
]
