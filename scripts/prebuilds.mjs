// Builds prebuilds/linux-*/addon.node, which the npm tarball carries: one binary an architecture, for glibc and musl.
//
//   (nothing)  those that this machine has a compiler for; says what is left out
//   --all      fails if one cannot be built
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { bin, isStale, prebuiltPath, quiet, root, run, say } from './lib.mjs'
import { faultsOf, targets } from './portable.mjs'

const works = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0

/** A C++ compiler for an architecture, or undefined. */
function compilerFor({ arch, triple }) {
  const own = process.platform === 'linux' && process.arch === arch
  return [`${triple}-linux-gnu-g++`, ...(own ? ['g++'] : [])].find(works)
}

function build({ arch, triple }, compiler) {
  const folder = `build-portable-${arch}`
  // A folder of its own for each, or CMake would have to start afresh.
  run(
    process.execPath,
    [
      ...[bin('cmake-js'), 'compile', '--arch', arch, '--out', folder],
      ...['--CDADDON_PORTABLE=ON', '--CDCMAKE_SYSTEM_NAME=Linux'],
      ...[`--CDCMAKE_SYSTEM_PROCESSOR=${triple}`, `--CDCMAKE_CXX_COMPILER=${compiler}`],
    ],
    quiet,
  )
  return join(root, folder, 'Release', 'addon.node')
}

/** True if the file is there now. */
function prebuild(target) {
  const { arch, triple, machine } = target
  const file = prebuiltPath(arch)
  if (isStale([file], ['native', 'CMakeLists.txt', 'scripts/portable.mjs'])) {
    const compiler = compilerFor(target)
    if (compiler === undefined) {
      say(`NO linux-${arch} prebuild: ${triple}-linux-gnu-g++ is not installed.`)
      return false
    }
    const built = build(target, compiler)
    const faults = faultsOf(built, machine)
    if (faults.length > 0) {
      say(`the addon for linux-${arch} is not portable: ${faults.join('; ')}.`)
      process.exit(1)
    }
    mkdirSync(dirname(file), { recursive: true })
    copyFileSync(built, file)
  }
  const size = Math.round(statSync(file).size / 1024)
  say(`${relative(root, file)}: ${size} KB, needs no library`)
  return true
}

const there = targets.map(prebuild)
if (process.argv.includes('--all') && there.includes(false)) process.exit(1)
