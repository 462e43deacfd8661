// Installs examples/next with the packed package into an empty folder, builds it, and runs it: `npm run example:next`.
// Next.js and its compiler are 340 MB, so they are no dev dependency.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root, run, say } from './lib.mjs'

const folder = mkdtempSync(join(tmpdir(), 'tcp-sse-next-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
process.env.NEXT_TELEMETRY_DISABLED = '1'

cpSync(join(root, 'examples', 'next'), folder, { recursive: true })
run('npm', ['pack', '--loglevel=error', '--pack-destination', folder])
const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))
const install = ['install', '--ignore-scripts', '--no-audit', '--no-fund', `./${tarball}`]
run('npm', install, { cwd: folder })
const next = join(folder, 'node_modules', 'next', 'dist', 'bin', 'next')
run(process.execPath, [next, 'build'], { cwd: folder })

const port = await freePort()
const url = `http://127.0.0.1:${port}`
const args = [next, 'start', '-p', String(port), '-H', '127.0.0.1']
const server = spawn(process.execPath, args, { cwd: folder, stdio: 'inherit' })
try {
  await until('an answer', () => fetch(`${url}/api/state`).then(({ ok }) => ok))
  for (const path of ['/api/events', '/events']) await check(path)
} finally {
  server.kill('SIGKILL')
}

async function check(path) {
  const first = await idsFrom(path, 3, {})
  // It goes on where the client was: nothing is missing, and nothing comes twice.
  const second = await idsFrom(path, 3, { 'Last-Event-ID': String(first[2]) })
  const from = first[0]
  assert.deepEqual(
    [...first, ...second],
    [0, 1, 2, 3, 4, 5].map((n) => from + n),
  )
  await until('the end of the streams', async () => {
    const { size } = await (await fetch(`${url}/api/state`)).json()
    return size === 0
  })
  say(`${path}: events at once, resume, and clients that leave are noticed`)
}

/** The ids of so many events, each taken within two seconds, then the client leaves. */
async function idsFrom(path, count, headers) {
  const response = await fetch(url + path, { headers })
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  assert.equal(response.headers.get('content-encoding'), null)
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  const ids = () => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))
  while (ids().length < count) {
    const late = new Promise((_, reject) => setTimeout(reject, 2_000, new Error('no event in 2 s')))
    const { value = '' } = await Promise.race([reader.read(), late])
    text += value
  }
  await reader.cancel()
  return ids().slice(0, count)
}

async function until(what, probe) {
  const deadline = Date.now() + 30_000
  while (!(await probe().catch(() => false))) {
    if (Date.now() > deadline) throw new Error(`${what}: not within 30 s`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

async function freePort() {
  const probe = createServer()
  await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return port
}
