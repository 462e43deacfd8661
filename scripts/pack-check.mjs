// Packs the package, checks what is in it, installs it into an empty folder without running any
// script, and uses it there from ESM and from CommonJS.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { prebuiltPath, root, run } from './lib.mjs'

const linux = process.platform === 'linux'
const folder = mkdtempSync(join(tmpdir(), 'tcp-sse-pack-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

run('npm', ['pack', '--loglevel=error', '--pack-destination', folder])
const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))
assert.ok(tarball, 'npm pack made no tarball')

const files = execFileSync('tar', ['-tzf', join(folder, tarball)], { encoding: 'utf8' })
  .trim()
  .split('\n')
  .map((path) => path.replace(/^package\//, ''))
console.log(files.sort().join('\n'))
for (const path of ['README.md', 'LICENSE', 'CHANGELOG.md', 'CMakeLists.txt', 'native/addon.cc']) {
  assert.ok(files.includes(path), `${path} is missing`)
}
if (linux) assert.ok(files.includes(relative(root, prebuiltPath)), 'the prebuilt addon is missing')
// With binding.gyp in the tarball npm would compile on the user's machine.
assert.ok(!files.includes('binding.gyp'), 'binding.gyp must not be in the tarball')
const unwanted = files.filter((path) => /^(src|test|build|node_modules|docs\/api)\//.test(path))
assert.deepEqual(unwanted, [], 'these do not belong in the tarball')

const user = join(folder, 'user')
mkdirSync(user)
writeFileSync(join(user, 'package.json'), '{ "private": true }\n')
run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', join(folder, tarball)], {
  cwd: user,
})
const installed = join(user, 'node_modules', 'tcp-sse')
const { name, exports, scripts } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
for (const script of ['preinstall', 'install', 'postinstall']) {
  assert.equal(scripts?.[script], undefined, `the tarball has a script "${script}"`)
}

const subpaths = Object.keys(exports)
  .filter((path) => !path.endsWith('.json'))
  .map((path) => path.replace(/^\./, name))
const check = `
  for (const entry of entries) assert.ok(Object.keys(entry).length > 0, 'an entry exports nothing')
  assert.equal(entries[0].capabilities().addon, ${linux}, 'the addon was not loaded')
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
// The variables that steer the loader in tests must not help here.
const { TCP_SSE_ADDON: _addon, TCP_SSE_NO_ADDON: _none, ...env } = process.env
for (const file of ['esm.mjs', 'cjs.cjs']) run(process.execPath, [file], { cwd: user, env })
console.log(`installed from ${tarball}: ${subpaths.join(', ')} work from ESM and CommonJS`)
