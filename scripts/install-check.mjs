// What a user sees: an empty folder, no compiler, no scripts; the tarball, the README's first server, a client that vanishes.
// It must be closed within `detectWithin` + 1 s. Run with tsx, for the namespaces of the tests.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Rig, rigMissing } from '../src/testing/index.ts'
import { bareEnvironment, packInto, root, run, say } from './lib.mjs'

const folder = mkdtempSync(join(tmpdir(), 'tcp-sse-install-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

const { code, detectWithin, port } = firstServer()
const app = join(folder, 'app')
const env = bareEnvironment(join(folder, 'bin'))
mkdirSync(app)
const tarball = packInto(folder)
const startedAt = Date.now()
run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', tarball], { cwd: app, env })
say(`installed in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`)
writeFileSync(join(app, 'server.mjs'), code)

const missing = rigMissing()
if (missing === undefined) {
  await vanish()
} else {
  say(`SKIPPED: a client that vanishes needs network namespaces: ${missing}`)
  if (process.env.CI === 'true') process.exitCode = 1
}

/** The first server of the README, as it stands there. */
function firstServer() {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const code = readme.match(/```ts runnable\n(import http[\s\S]*?)```/)?.[1]
  assert.ok(code, 'README.md has no server that begins with `import http`')
  const number = (pattern) => Number(code.match(pattern)?.[1].replaceAll('_', ''))
  const [detectWithin, port] = [number(/detectWithin: ([\d_]+)/), number(/listen\((\d+)\)/)]
  assert.ok(detectWithin > 0 && port > 0, 'the README has no detectWithin, or no port')
  say(`the README's server: ${code.trim().split('\n').length} lines`)
  return { code, detectWithin, port }
}

async function vanish() {
  const rig = new Rig()
  try {
    const server = rig.spawnServer(new URL('../test/install/host.ts', import.meta.url))
    const clients = rig.spawnClients(new URL('../src/testing/clients.ts', import.meta.url))
    await server.call('start', { folder: app, env, port })
    const addresses = [rig.clientAddress(0)]
    await clients.call('open', { addresses, host: rig.serverAddress, port })
    const { startedAt } = rig.cut([0])
    const limit = detectWithin + 1_000
    const line = await firstLine(server, startedAt + limit + 2_000)
    assert.ok(line, `not closed ${limit + 2_000} ms after the client had vanished`)
    const after = line.at - startedAt
    say(`the client vanished, and the server printed '${line.text}' after ${after / 1000} s`)
    assert.equal(line.text, 'peer-dead')
    assert.ok(after <= limit, `that is later than ${limit} ms`)
  } finally {
    rig.close()
  }
}

/** The first line that the server prints after the client is there; `undefined` if none comes in time. */
async function firstLine(server, deadline) {
  for (;;) {
    const [line] = await server.call('lines')
    if (line !== undefined || Date.now() > deadline) return line
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
