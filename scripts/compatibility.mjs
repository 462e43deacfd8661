// Writes docs/compatibility.md from the results of the tests, or with --check says whether it agrees with them.
// vitest's JSON reports can be given; without any the tests are run.
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { bin, root, run, say } from './lib.mjs'

const FILES = [
  'test/adapters/table.test.ts',
  'test/adapters/crashes.test.ts',
  'test/dead-peer/adapters.test.ts',
]
const CHECKS = [
  'head',
  'events',
  'resume',
  'back-pressure',
  'client gone',
  'peer dead',
  'close reason',
  'drain',
  'crash',
]
/** Whose versions are put into the names of the rows. */
const PACKAGES = ['express', 'koa', 'fastify', 'hono', '@hono/node-server', 'srvx']
const target = join(root, 'docs', 'compatibility.md')

const args = process.argv.slice(2)
const check = args.includes('--check')
const given = args.filter((each) => !each.startsWith('-'))
const reports = (given.length > 0 ? given : [runTests()]).map((path) =>
  JSON.parse(readFileSync(path, 'utf8')),
)
const rows = table({ testResults: reports.flatMap(({ testResults }) => testResults) })

if (check) {
  const committed = readFileSync(target, 'utf8')
  const missing = rows.filter((row) => !committed.split('\n').includes(row))
  if (missing.length === 0) say('docs/compatibility.md agrees with the tests')
  else {
    say(`docs/compatibility.md does not have these rows:\n${missing.join('\n')}`)
    process.exitCode = 1
  }
} else {
  writeFileSync(target, page())
  say('docs/compatibility.md is written')
}

function runTests() {
  const file = join(mkdtempSync(join(tmpdir(), 'tcp-sse-')), 'report.json')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
  run(process.execPath, [bin('vitest'), 'run', ...FILES, ...reporters])
  return file
}

/** The results of each server and protocol, by check. A row of `crash` has several tests: all of them count. */
function table({ testResults }) {
  const servers = new Map()
  for (const { assertionResults, name } of testResults) {
    if (!FILES.some((file) => name.endsWith(file))) continue
    const isCrash = name.endsWith('crashes.test.ts')
    for (const { ancestorTitles, title, status } of assertionResults) {
      const found = place(ancestorTitles, title, isCrash)
      if (found === undefined) continue
      const cells = servers.get(found.server) ?? new Map()
      servers.set(found.server, cells)
      cells.set(found.check, worst(cells.get(found.check), status))
    }
  }
  const mark = (status) => (status === 'passed' ? 'yes' : (status ?? 'not run'))
  return [
    `| server | protocol | ${CHECKS.join(' | ')} |`,
    `|---|---|${CHECKS.map(() => '---').join('|')}|`,
    ...[...servers].map(([server, cells]) => {
      const [name, protocol] = server.split(' | ')
      const marks = CHECKS.map((each) => mark(cells.get(each)))
      return `| ${versioned(name)} | ${protocol} | ${marks.join(' | ')} |`
    }),
  ]
}

function worst(before, status) {
  return before === undefined || before === 'passed' ? status : before
}

function place([group], title, isCrash) {
  const dead = /^(.+ \| \w+) peer dead$/.exec(title)
  if (dead !== null) return { server: dead[1], check: 'peer dead' }
  if (!group.includes(' | ')) return undefined
  return { server: group, check: isCrash ? 'crash' : title }
}

function versioned(name) {
  return name
    .split(' ')
    .map((word) => {
      if (!PACKAGES.includes(word)) return word
      const file = join(root, 'node_modules', word, 'package.json')
      return `${word} ${JSON.parse(readFileSync(file, 'utf8')).version}`
    })
    .join(' ')
}

function page() {
  return `# Compatibility

Written from the results of the tests by \`npm run compatibility\` (Node ${process.versions.node}, Linux ${release().split('-')[0]}, ${new Date().toISOString().slice(0, 10)}); CI
holds the table against its own run. Each server is a row of \`test/support/framework-servers.ts\`, each column one check, the same
for all of them, in \`test/adapters/table.test.ts\`, \`test/adapters/crashes.test.ts\` and \`test/dead-peer/adapters.test.ts\`.

${rows.join('\n')}

- **head**: 200, \`text/event-stream; charset=utf-8\`, \`no-transform\`, \`X-Accel-Buffering: no\`, before any event.
- **events**: each arrives before the next is sent.
- **resume**: \`Last-Event-ID\`, a channel with a history: what was missed, then live events, nothing twice.
- **back-pressure**: a client that stops reading makes \`send\` say \`queued\` and \`writable()\` wait; when it reads on, all arrives in order.
- **client gone**: FIN, or RST_STREAM over HTTP/2: \`client-closed\`.
- **peer dead**: black-holed clients, \`detectWithin\` 5 s: all are \`peer-dead\` within 6 s, and nothing is left behind.
- **close reason**: \`abort(error)\` is \`aborted\` with that error, and the client sees the response cut.
- **drain**: \`close()\` brings 10 MB to a client that has not been reading, then a proper end; \`ended\`.
- **crash**: a generator or a serializer that throws in \`sendAll\` closes its stream with \`error\`, one that throws in \`send\` throws to its
  caller; other streams of the server go on.

Express does not run over HTTP/2: it puts HTTP/1's prototypes on requests and responses.
`
}
