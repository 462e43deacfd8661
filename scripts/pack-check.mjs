// Packs the package, compares what is in it with scripts/pack-files.txt, installs it where there is no compiler, and uses
// it there from ESM and from CommonJS. `-- --update` writes the list anew.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bareEnvironment, packInto, readManifest, root, run, say } from './lib.mjs'

// The addons, a dozen entries in two module formats with their types, and the pages of docs/ (the reference is 25 KB of it).
const LIMIT = 610_000
/** Entries that are about another package, and say so where it is not installed. */
const NEEDING = { 'tcp-sse/prometheus': 'prom-client' }
const listPath = join(root, 'scripts', 'pack-files.txt')
const folder = mkdtempSync(join(tmpdir(), 'tcp-sse-pack-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

const tarball = packInto(folder)
checkContents()
checkSize()
checkUse()

function checkContents() {
  const packed = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((path) => path.replace(/^package\//, ''))
    // The bundler names shared chunks by their contents. How many there are follows from the imports and says nothing.
    .map((path) => path.replace(/-[\w-]{8}(\.d)?(\.c?[jt]s)$/, '-HASH$1$2'))
  const files = [...new Set(packed)].sort()
  if (process.argv.includes('--update')) writeFileSync(listPath, `${files.join('\n')}\n`)
  const listed = readFileSync(listPath, 'utf8').trim().split('\n')
  const more = files.filter((path) => !listed.includes(path))
  const less = listed.filter((path) => !files.includes(path))
  const wrong = [...more.map((path) => `+ ${path}`), ...less.map((path) => `- ${path}`)]
  if (wrong.length > 0) {
    say(`the tarball is not what scripts/pack-files.txt says:\n${wrong.join('\n')}`)
    say('if it should be so: npm run pack:check -- --update')
    process.exit(1)
  }
  // With binding.gyp in the tarball npm would compile on the user's machine.
  assert.ok(!files.includes('binding.gyp'), 'binding.gyp must not be in the tarball')
  say(`${packed.length} files, as listed in scripts/pack-files.txt`)
}

function checkSize() {
  const { size } = statSync(tarball)
  say(`${Math.round(size / 1000)} KB packed, of ${LIMIT / 1000}`)
  assert.ok(size < LIMIT, `the tarball has ${size} bytes, and ${LIMIT} are allowed`)
}

function checkUse() {
  const user = join(folder, 'user')
  const env = bareEnvironment(join(folder, 'bin'))
  mkdirSync(user)
  // Scripts are allowed here: there must be none to run.
  run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', tarball], {
    cwd: user,
    env,
  })
  const lock = JSON.parse(readFileSync(join(user, 'package-lock.json'), 'utf8'))
  const { hasInstallScript } = lock.packages['node_modules/tcp-sse']
  assert.equal(hasInstallScript, undefined, 'npm sees an install script')

  const { name, exports } = readManifest(join(user, 'node_modules', 'tcp-sse'))
  const all = Object.keys(exports)
    .filter((path) => !path.endsWith('.json'))
    .map((path) => path.replace(/^\./, name))
  const subpaths = all.filter((path) => NEEDING[path] === undefined)
  const addon = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch)
  const check = `
    for (const entry of entries) assert.ok(Object.keys(entry).length > 0, 'an entry exports nothing')
    assert.equal(entries[0].capabilities().addon, ${addon}, entries[0].capabilities().reason)
  `
  writeFileSync(
    join(user, 'esm.mjs'),
    `import assert from 'node:assert/strict'
    const entries = await Promise.all(${JSON.stringify(subpaths)}.map((path) => import(path)))
    ${check}`,
  )
  writeFileSync(
    join(user, 'cjs.cjs'),
    `const assert = require('node:assert/strict')
    const entries = ${JSON.stringify(subpaths)}.map((path) => require(path))
    ${check}`,
  )
  writeFileSync(
    join(user, 'peers.mjs'),
    `import assert from 'node:assert/strict'
    for (const [path, peer] of Object.entries(${JSON.stringify(NEEDING)}))
      await assert.rejects(import(path), (error) => error.code === 'ERR_MODULE_NOT_FOUND' && error.message.includes(peer))`,
  )
  for (const file of ['esm.mjs', 'cjs.cjs', 'peers.mjs'])
    run(process.execPath, [file], { cwd: user, env })
  const command = join(user, 'node_modules', '.bin', 'tcp-sse')
  const help = execFileSync(process.execPath, [command, '--help'], {
    cwd: user,
    env,
    encoding: 'utf8',
  })
  for (const name of ['guard', 'top', 'doctor']) assert.ok(help.includes(name), help)
  say(`installed without a compiler: ${subpaths.join(', ')} work from ESM and CommonJS`)
}
