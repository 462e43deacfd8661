// Words that made the pages and the comments hard to read. Each has a plain replacement, so few exceptions are needed.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { pages, read, root, sources } from './snippets.js'
import { blank, proseOfSource } from './source-prose.js'

/** Pages that have been rewritten. Add a page when it is. */
const PAGES: readonly string[] = [
  'README.md',
  'CHANGELOG.md',
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

/** Folders of sources: their comments and messages are held against these words, too. */
const ROOMS: readonly string[] = [
  'native',
  'src/adapters',
  'src/channel',
  'src/cli',
  'src/client',
  'src/dashboard',
  'src/guard',
  'src/hub',
  'src/internal',
  'src/lifecycle',
  'src/liveness',
  'src/native',
  'src/observability',
  'src/port-guard',
  'src/sse',
  'src/stream',
  'src/tcp',
  'src/testing',
  'src/transport',
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

/** More of them, which only comments and messages had. */
const SOURCE_WORDS: typeof WORDS = [
  [/where there (?:is|are) (?:none|no \w+)/, 'if there is none, without'],
  [/who knows/, 'unknown'],
  [/in silence/, 'silently, without an error'],
  [/(?:the )?short way/, 'the fast path'],
  [/(?:a|the) strangers?(?:'s)?/, 'another connection, another application'],
  [/(?:takes?|taken|took) for/, 'mistakes for, treats as'],
  [/passed over/, 'skipped'],
  [/(?:is|are) not to be \w+/, 'must not be, cannot be'],
  [/has (?:nothing|something) to/, 'the verb itself'],
  [/(?:and|but|or) ours/, 'this library'],
]

/** Lines with such a word that stay, and why. */
const ALLOWED: readonly (readonly [page: string, line: string, why: string])[] = [
  ['docs/errors.md', 'remedies: `await', 'A list follows; it is not the label "Remedy:".'],
]

/** The same in the sources. */
const ALLOWED_IN_SOURCES: typeof ALLOWED = []

interface Found {
  readonly page: string
  readonly line: number
  readonly text: string
  readonly complaint: string
}

/** A page without its code, which has names and no prose; every line is where it was. */
const proseOf = (text: string): string =>
  text.replace(/^```[\s\S]*?^```/gm, blank).replace(/`[^`]*`/g, blank)

const asPhrase = ({ source }: RegExp): RegExp => {
  const spaced = source.replaceAll(' ', '\\s+')
  // Quotes are no words: there is no boundary beside them.
  return new RegExp(source.startsWith('[') ? source : `(?<!\\w)(?:${spaced})(?!\\w)`, 'gi')
}

function occurrences(page: string, text: string, prose = proseOf(text), words = WORDS): Found[] {
  const lines = text.split('\n')
  return words.flatMap(([word, instead]) =>
    [...prose.matchAll(asPhrase(word))].map(({ 0: hit, index }) => {
      const line = prose.slice(0, index).split('\n').length
      const complaint = `"${hit.replace(/\s+/g, ' ')}": ${instead}`
      return { page, line, text: lines[line - 1] as string, complaint }
    }),
  )
}

function occurrencesInSource(file: string, text: string): Found[] {
  return occurrences(file, text, proseOfSource(file, text), [...WORDS, ...SOURCE_WORDS])
}

function complaints(found: readonly Found[], allowed: typeof ALLOWED): string[] {
  const isAllowed = ({ page, text }: Found): boolean =>
    allowed.some(([where, line]) => where === page && text.includes(line))
  return found
    .filter((each) => !isAllowed(each))
    .map(({ page, line, complaint }) => `${page}:${line}: ${complaint}`)
}

/** Entries that allow nothing. */
function stale(found: readonly Found[], allowed: typeof ALLOWED): typeof ALLOWED {
  return allowed.filter(
    ([where, line]) => !found.some(({ page, text }) => page === where && text.includes(line)),
  )
}

describe('the words of the pages', () => {
  const found = PAGES.flatMap((page) => occurrences(page, read(page)))

  it('are plain', () => {
    expect(complaints(found, ALLOWED)).toEqual([])
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

  it('stand in lines of at most 100 characters, except tables, images and what has no space to break at', () => {
    const long = PAGES.flatMap((page) =>
      proseOf(read(page))
        .split('\n')
        .flatMap((line, index) =>
          line.length > 100 && line.trim().lastIndexOf(' ') > 1 && !/^\s*(\||#|!\[|\0|<)/.test(line)
            ? [`${page}:${index + 1}`]
            : [],
        ),
    )
    expect(long).toEqual([])
  })

  it('are read from pages that exist', () => {
    const all = ['CHANGELOG.md', ...pages()]
    expect(PAGES.filter((page) => !all.includes(page))).toEqual([])
  })

  it('are allowed only on lines that have them', () => {
    expect(stale(found, ALLOWED)).toEqual([])
  })
})

describe('the words of comments and messages', () => {
  const found = ROOMS.flatMap((room) => sources(room, /\.(?:ts|cc|h)$/)).flatMap((file) =>
    occurrencesInSource(file, read(file)),
  )

  it.each(ROOMS)('are plain in %s', (room) => {
    const inRoom = found.filter(({ page }) => page.startsWith(`${room}/`))
    expect(complaints(inRoom, ALLOWED_IN_SOURCES)).toEqual([])
  })

  it('are found in comments and texts, also across a line break, and not in code', () => {
    const text = [
      '// a client is',
      '// told',
      "const nobody = /nobody'/ // `nobody`",
      '/** The',
      ' * stranger */',
      'const text = `\u2018$' + "{nobody}' whatever`",
      "import 'lane'",
    ].join('\n')
    const lines = occurrencesInSource('a.ts', text).map(({ line, complaint }) => [
      line,
      complaint.split(':')[0],
    ])
    expect(lines.sort(([a], [b]) => Number(a) - Number(b))).toEqual([
      [1, '"is told"'],
      [4, '"The stranger"'],
      [6, '"whatever"'],
      [6, '"\u2018"'],
    ])
  })

  it('are found in C++', () => {
    const text =
      '#include "lanes"\nint nobody; // somebody\nthrow("a farewell \\" text"); /* a\n   lane */'
    expect(
      occurrencesInSource('a.cc', text).map(({ complaint }) => complaint.split(':')[0]),
    ).toEqual(['"somebody"', '"farewell"', '"lane"'])
  })

  it('are checked in every folder', () => {
    const folders = readdirSync(join(root, 'src'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `src/${name}`)
    expect([...ROOMS].sort()).toEqual(['native', ...folders].sort())
  })

  it('are allowed only on lines that have them', () => {
    expect(stale(found, ALLOWED_IN_SOURCES)).toEqual([])
  })
})
