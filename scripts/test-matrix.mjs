// The main tests on every supported line of Node.js: `npm run test:matrix [-- [--report FILE] MAJOR...]`. The binaries come
// from npm. FILE gets the last run's report in JSON.
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { parseArgs } from 'node:util'
import { here, writeScore } from './interop-report.mjs'
import { bin, root, say } from './lib.mjs'
import { nodeFolder, nodeVersion } from './node-binaries.mjs'

const { values, positionals } = parseArgs({
  options: { report: { type: 'string' } },
  allowPositionals: true,
})
const majors = positionals.length > 0 ? positionals : ['20', '22', '24', '26']

/** One run of the tests; `PATH` is for the programs that tests start by name. */
function runTests(major) {
  const folder = nodeFolder(major)
  const report = join(tmpdir(), `tcp-sse-matrix-${process.pid}-${major}.json`)
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const vitest = [bin('vitest'), 'run', '--project', 'main', ...reporters]
  const { status, signal } = spawnSync(join(folder, 'node'), vitest, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}` },
  })
  if (!existsSync(report)) {
    return {
      status,
      line: `| ${nodeVersion(folder)} | no report: ended with ${signal ?? status} | | |`,
    }
  }
  if (values.report !== undefined) copyFileSync(report, values.report)
  const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(
    readFileSync(report, 'utf8'),
  )
  const counts = `${numPassedTests} | ${numFailedTests} | ${numPendingTests}`
  return { status, line: `| ${nodeVersion(folder)} | ${counts} |` }
}

const runs = majors.map(runTests)
const lines = ['| Node | passed | failed | skipped |', '|---|---|---|---|']
lines.push(...runs.map(({ line }) => line), '', `${here()}.`)
say(lines.join('\n'))
// Part of the matrix is no score of it.
if (process.argv.length === 2) writeScore('matrix', lines)
process.exit(runs.every(({ status }) => status === 0) ? 0 : 1)
