// Runs the test file of npm's `eventsource` against endpoints of ours: `npm run interop:eventsource -- CHECKOUT`.
//
// CHECKOUT is a folder with that project's test files, which its package does not have; nothing in it is changed or built.
// The clients are npm's: the dev dependency, and the newest of line 5.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { here, writeScore } from './interop-report.mjs'
import { root, say } from './lib.mjs'
import { nodeFolder, nodeVersion, packageFolder } from './node-binaries.mjs'

const checkout = process.argv[2]
if (checkout === undefined) {
  console.error('usage: npm run interop:eventsource -- CHECKOUT')
  process.exit(2)
}

const version = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version
const node = nodeFolder(22)
const sinon = packageFolder('sinon@20', 'sinon')
const clients = [
  join(root, 'node_modules/eventsource'),
  packageFolder('eventsource@5', 'eventsource'),
]

const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
const hooks = new URL('./interop-eventsource-hooks.mjs', import.meta.url).href

/** Their reporter's lines: what passed and failed, each with its title. */
function runTests(client) {
  const { stdout, stderr } = spawnSync(
    join(node, 'node'),
    ['--import', tsx, '--import', hooks, join(resolve(checkout), 'test/node/client.node.test.ts')],
    {
      cwd: root,
      encoding: 'utf8',
      timeout: 300_000,
      env: {
        ...process.env,
        INTEROP_SERVER: join(root, 'test/interop/eventsource-server.ts'),
        INTEROP_FIXTURES: pathToFileURL(join(resolve(checkout), 'test/fixtures.ts')).href,
        INTEROP_SINON: join(sinon, 'lib/sinon.js'),
        INTEROP_CLIENT: join(client, 'dist/index.js'),
      },
    },
  )
  process.stdout.write(stdout + stderr)
  const count = (pattern) => stdout.match(pattern)?.length ?? 0
  return { passed: count(/^✅/gm), failed: count(/^❌/gm) }
}

const lines = ['| client | passed | failed |', '|---|---|---|']
let failures = 0
for (const client of clients) {
  const { passed, failed } = runTests(client)
  lines.push(`| \`eventsource\` ${version(client)} | ${passed} | ${failed} |`)
  failures += failed + (passed === 0 ? 1 : 0)
}
lines.push('', `Its tests as of ${version(checkout)}, Node ${nodeVersion(node)}, ${here()}.`)
writeScore('eventsource', lines)
say(lines.join('\n'))
process.exit(failures === 0 ? 0 : 1)
