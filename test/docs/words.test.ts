// Words that made these pages hard to read. Each of them has a plain replacement, so the list is short of exceptions.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { pages, root } from './snippets.js'

/** Pages that have been rewritten. Add a page when it is. */
const PAGES: readonly string[] = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'docs/adapters.md',
  'docs/api.md',
  'docs/back-pressure.md',
  'docs/benchmarks.md',
  'docs/channels.md',
  'docs/compatibility.md',
  'docs/dashboard.md',
  'docs/delivery.md',
  'docs/design.md',
  'docs/drain.md',
  'docs/errors.md',
  'docs/guard.md',
  'docs/install.md',
  'docs/interop.md',
  'docs/liveness.md',
  'docs/migrating-from-better-sse.md',
  'docs/migrating-from-express-sse.md',
  'docs/observability.md',
  'docs/outside.md',
  'docs/proxies.md',
  'docs/redis-and-nats.md',
  'docs/several-machines.md',
  'docs/socket-options.md',
  'docs/testing.md',
]

/** What not to write, and what to write. A space stands for a line break, too. */
const WORDS: readonly (readonly [word: RegExp, instead: string])[] = [
  [/nobody|somebody|everybody|anybody/, 'name the actor: the client, the application, all streams'],
  [/someone|everyone|anyone/, 'name the actor'],
  [/whoever|whomever|whatever/, 'name the actor, or any, every, all'],
  [/meanwhile|ever after/, 'in the meantime, during the drain, from then on'],
  [/for ever/, 'forever'],
  [/(?:is|are|was|were|be|been) told/, 'gets, learns, receives'],
  [/tells (?!you)\w+/, 'reports, says, returns, shows'],
  [/kernel's word|own word|last word|in words that/, 'data, information'],
  [/looks? at|looked at|looking at/, 'checks, reads, samples'],
  [/(?:a|the|last|first|each|every|no|another|second|three) looks?/, 'sample'],
  [/(?:has|have|had) (?:not|no) room/, 'is full, exceeds the limit'],
  [/will (?:not )?do/, 'is accepted, is enough'],
  [/shall/, 'must, or the present tense'],
  [/of (?:ours|theirs|yours|Node's|the web's|the client's)(?! \w)/, "our, their, your, Node's"],
  [/but for/, 'except'],
  [/where (?:they|it) (?:may|can)/, 'if'],
  [/(?<!there )is no (?!longer)\w+/, 'is not a'],
  [/loudly|goodbye|not for sale/, 'no humor'],
  [/foreign/, 'other, existing, third-party'],
  [/(?:remedy|remedies):/, 'an imperative: fix, set, use'],
  [/lanes?|tally|roster|farewell/, 'cohort, result, streams, shutdown message'],
  [/[\u2018\u2019\u201c\u201d]/, 'ASCII quotes'],
]

/** Lines with such a word that stay, and why. */
const ALLOWED: readonly (readonly [page: string, line: string, why: string])[] = [
  ['docs/errors.md', 'remedies: `await', 'A list follows; it is not the label "Remedy:".'],
]

interface Found {
  readonly page: string
  readonly line: number
  readonly text: string
  readonly complaint: string
}

const read = (page: string): string => readFileSync(join(root, page), 'utf8')
const blank = (code: string): string => code.replace(/[^\n]/g, '\0')
/** A page without its code, which has names and no prose; every line is where it was. */
const proseOf = (text: string): string =>
  text.replace(/^```[\s\S]*?^```/gm, blank).replace(/`[^`]*`/g, blank)

const asPhrase = ({ source }: RegExp): RegExp => {
  const spaced = source.replaceAll(' ', '\\s+')
  // Quotes are no words: there is no boundary beside them.
  return new RegExp(source.startsWith('[') ? source : `(?<!\\w)(?:${spaced})(?!\\w)`, 'gi')
}

function occurrences(page: string, text: string): Found[] {
  const prose = proseOf(text)
  const lines = text.split('\n')
  return WORDS.flatMap(([word, instead]) =>
    [...prose.matchAll(asPhrase(word))].map(({ 0: hit, index }) => {
      const line = prose.slice(0, index).split('\n').length
      const complaint = `"${hit.replace(/\s+/g, ' ')}": ${instead}`
      return { page, line, text: lines[line - 1] as string, complaint }
    }),
  )
}

const isAllowed = ({ page, text }: Found): boolean =>
  ALLOWED.some(([where, line]) => where === page && text.includes(line))

function complaints(): string[] {
  return PAGES.flatMap((page) => occurrences(page, read(page)))
    .filter((each) => !isAllowed(each))
    .map(({ page, line, complaint }) => `${page}:${line}: ${complaint}`)
}

describe('the words of the pages', () => {
  it('are plain', () => {
    expect(complaints()).toEqual([])
  })

  it('are found, also across a line break and not in code', () => {
    const text = 'a client is\ntold\n```ts\nnobody\n```\n`nobody`, nobody\nthe client\u2019s'
    expect(
      occurrences('page', text).map(({ line, complaint }) => [line, complaint.split(':')[0]]),
    ).toEqual([
      [6, '"nobody"'],
      [1, '"is told"'],
      [7, '"\u2019"'],
    ])
  })

  it('are read from pages that exist', () => {
    expect(PAGES.filter((page) => !pages().includes(page))).toEqual([])
  })

  it('are allowed only on lines that have them', () => {
    const stale = ALLOWED.filter(([page, line]) => {
      const found = occurrences(page, read(page))
      return !found.some(({ text }) => text.includes(line))
    })
    expect(stale).toEqual([])
  })
})
