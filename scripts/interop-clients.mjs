// Runs the tests that hold us against other people's clients, and writes what passed: `npm run interop:clients`.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { here, writeScore } from './interop-report.mjs'
import { bin, root, say } from './lib.mjs'

const report = join(tmpdir(), `tcp-sse-clients-${process.pid}.json`)
const files = ['encoder', 'clients', 'ids', 'chromium'].map(
  (name) => `test/interop/${name}.test.ts`,
)
const { status } = spawnSync(
  process.execPath,
  [
    ...[bin('vitest'), 'run', '--project', 'main', ...files],
    ...['--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
  ],
  { cwd: root, stdio: 'inherit' },
)

const packages = [
  '@microsoft/fetch-event-source',
  'eventsource',
  'eventsource-client',
  'eventsource-encoder',
  'eventsource-parser',
  'undici',
]
const versionOf = (name) =>
  JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version

/** The first line of what a program says of its version. */
const says = (program) =>
  spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0].trim()

/** What Debian adds to a version is of no interest. */
const short = (line) => line.match(/^\S+ \d[\d.]*/)?.[0] ?? line

const { testResults } = JSON.parse(readFileSync(report, 'utf8'))
const tests = testResults.flatMap(({ assertionResults }) => assertionResults)
const cell = (text) => text.replaceAll('|', '\\|')
const lines = [
  '| tested with | check | result |',
  '|---|---|---|',
  ...tests.map(({ ancestorTitles, title, status }) => {
    return `| ${cell(ancestorTitles.join(', '))} | ${cell(title)} | ${status} |`
  }),
  '',
  `${packages.map((name) => `${name} ${versionOf(name)}`).join(',\n')},`,
  `${short(says('curl'))},`,
  `${short(says('/usr/bin/chromium'))}, Node ${process.versions.node}, ${here()}.`,
]
say(`${tests.length} checks`)
writeScore('clients', lines)
process.exit(status ?? 1)
