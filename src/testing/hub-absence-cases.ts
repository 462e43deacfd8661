// The duties of a hub while its engine is unavailable, and when the engine returns with or without
// its logs.
import assert from 'node:assert/strict'
import { monotonicNow } from '../internal/scheduling.js'
import { publishMany, textOf } from './hub-feed-cases.js'
import type { Case, HubContractOptions } from './hub-scene.js'

const TIMEOUT = 1_000
/** Tolerance for timers on a busy machine, in milliseconds. */
const MARGIN = 2_000

export function absenceCases({ interrupt, restore, forget }: HubContractOptions): Case[] {
  const cases: Case[] = []
  if (interrupt !== undefined && restore !== undefined) cases.push(away(interrupt, restore))
  if (forget !== undefined) cases.push(anotherEra(forget))
  return cases
}

function away(interrupt: Fault, restore: Fault): Case {
  return [
    'settles in time while the engine is unavailable, and continues afterwards without a loss',
    async ({ open }) => {
      const [here, there] = [await open(), await open()]
      const [top] = await publishMany(here.feed, 1)
      await interrupt()
      try {
        const before = monotonicNow()
        const entry = { text: textOf(2), token: 'away' }
        const published = here.feed.publish(entry, TIMEOUT)
        await assert.rejects(published, ({ code }: { code?: string }) => {
          assert.match(String(code), /^ERR_(HUB_DOWN|PUBLISH_UNKNOWN)$/)
          return true
        })
        const request = { after: top ?? '', upTo: top ?? '', limit: 1, timeout: TIMEOUT }
        await assert.rejects(here.feed.read(request), { code: 'ERR_HUB_DOWN' })
        const took = monotonicNow() - before
        assert.ok(took < 2 * TIMEOUT + MARGIN, `took ${took} ms`)
        await there.heard.until('down', () => there.heard.states.includes('down'))
      } finally {
        await restore()
      }
      for (const { heard } of [here, there]) {
        await heard.until('live again', () => heard.states.at(-1) === 'live')
      }
      await publishMany(here.feed, 5, 3)
      const last = textOf(7)
      for (const { heard } of [here, there]) {
        await heard.until('the last', () => heard.texts.at(-1) === last)
        const settled = heard.entries.filter(({ token }) => token !== 'away')
        assert.deepEqual(
          settled.map(({ text }) => text),
          [1, 3, 4, 5, 6, 7].map(textOf),
        )
        assert.ok(heard.entries.length - settled.length <= 1, 'an entry came twice')
      }
    },
  ]
}

function anotherEra(forget: Fault): Case {
  return [
    'reports a gap if the logs are lost, and does not know earlier positions',
    async ({ open }) => {
      const { feed, heard } = await open()
      const old = await publishMany(feed, 5)
      await heard.until('all', () => heard.entries.length === 5)
      await forget()
      await heard.until('a gap', () => heard.gaps.length > 0)
      await heard.until('live again', () => heard.states.at(-1) === 'live')
      const fresh = await publishMany(feed, 7, 6)
      await heard.until('what is new', () => heard.texts.at(-1) === textOf(12))
      assert.equal(heard.gaps[0]?.before, 5)
      for (const after of old) {
        const request = { after, upTo: fresh[6] ?? '', limit: 10, timeout: 10_000 }
        assert.equal((await feed.read(request)).outcome, 'unknown')
      }
    },
  ]
}

type Fault = () => void | Promise<void>
