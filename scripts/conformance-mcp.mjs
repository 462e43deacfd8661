// Runs npm's `@modelcontextprotocol/conformance` against an MCP server over our streams: `npm run conformance:mcp`.
// It needs Node >= 22, which comes from npm too. Elsewhere than in CI the score goes into docs/interop.md.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { here, writeScore } from './interop-report.mjs'
import { root, say } from './lib.mjs'
import { nodeFolder, nodeVersion, packageFolder } from './node-binaries.mjs'

const VERSION = '0.1.16'
const name = '@modelcontextprotocol/conformance'
const node = nodeFolder(22)
const suite = join(packageFolder(`${name}@${VERSION}`, name), 'dist', 'index.js')
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

const server = spawn(
  process.execPath,
  ['--import', tsx, join(root, 'test/interop/mcp/server.ts')],
  { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] },
)
const [line] = await once(createInterface(server.stdout), 'line')
const { port } = JSON.parse(line)

/** Runs scenarios; the suite's own lines. */
async function run(...args) {
  const url = `http://127.0.0.1:${port}/mcp`
  const child = spawn(join(node, 'node'), [suite, 'server', '--url', url, ...args], {
    cwd: join(root, 'node_modules/.cache/tcp-sse'),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 180_000,
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk) => {
      text += chunk
    })
  }
  const [code] = await once(child, 'close')
  return { code, text }
}

try {
  const rows = []
  let good = true
  // `active` is what the suite's reference server is held against; `all` has what the suite calls pending, too.
  for (const scenarios of ['active', 'all']) {
    const { code, text } = await run('--suite', scenarios)
    console.log(text)
    const [, passed, failed] = /Total: (\d+) passed, (\d+) failed/.exec(text) ?? []
    rows.push(`| ${scenarios} | ${passed} | ${failed} |`)
    good &&= code === 0 && Number(passed) >= 40
  }
  const polling = await run('--scenario', 'server-sse-polling')
  console.log(polling.text)
  const [, warnings] = /(\d+) warnings?/.exec(polling.text) ?? []
  const sdk = JSON.parse(
    readFileSync(join(root, 'node_modules/@modelcontextprotocol/sdk/package.json'), 'utf8'),
  ).version
  const lines = [
    '| scenarios | checks passed | failed |',
    '|---|---|---|',
    ...rows,
    '',
    `Warnings of \`server-sse-polling\`: ${warnings}. \`${name}\` ${VERSION} on Node ${nodeVersion(node)},`,
    `server: Node ${process.versions.node}, SDK ${sdk}; ${here()}.`,
  ]
  say(lines.join('\n'))
  if (process.env.CI !== 'true') writeScore('mcp', lines)
  process.exitCode = good && polling.code === 0 && warnings === '0' ? 0 : 1
} finally {
  server.kill()
}
