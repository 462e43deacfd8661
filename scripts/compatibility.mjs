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

\`npm run compatibility\` writes this page from the results of the tests
(Node ${process.versions.node}, Linux ${release().split('-')[0]}, ${new Date().toISOString().slice(0, 10)}). CI checks that the table agrees with its own run.
Each server is a row of \`test/support/framework-servers.ts\`. Each column is one check, the same for
all servers, in \`test/adapters/table.test.ts\`, \`test/adapters/crashes.test.ts\` or
\`test/dead-peer/adapters.test.ts\`.

${rows.join('\n')}

- **head**: before any event, the client gets status 200, \`text/event-stream; charset=utf-8\`,
  \`no-transform\` and \`X-Accel-Buffering: no\`.
- **events**: each event arrives before the next is sent.
- **resume**: on a channel with a history, a client with a \`Last-Event-ID\` gets what it missed, and
  then live events, each once.
- **back-pressure**: when a client stops reading, \`send\` returns \`queued\` and \`writable()\` waits.
  When the client reads again, all events arrive in order.
- **client gone**: after a FIN, or an RST_STREAM over HTTP/2, the reason is \`client-closed\`.
- **peer dead**: the path to several clients is cut, with \`detectWithin\` 5 s. All streams close with
  \`peer-dead\` within 6 s, and nothing is left behind.
- **close reason**: after \`abort(error)\`, the reason is \`aborted\` with that error, and the client
  sees that the response was cut off.
- **drain**: \`close()\` delivers 10 MB to a client that has not been reading, and then a proper end.
  The reason is \`ended\`.
- **crash**: if a generator or a serializer throws in \`sendAll\`, its stream closes with \`error\`. If
  a serializer throws in \`send\`, the caller gets the error. Other streams of the server continue.

Express does not run over HTTP/2, because it sets HTTP/1's prototypes on requests and responses.
`
}
