// Builds native/ into build/Release/addon.node with cmake-js.
//
//   (nothing)    build, and fail if that is not possible
//   --if-needed  only when the addon is missing or older than its sources, and say little
//   --optional   without a compiler or CMake, say so in one sentence and go on
//   --clean      from nothing
import { spawnSync } from 'node:child_process'
import { utimesSync } from 'node:fs'
import { addonPath, bin, isStale, quiet, run, say } from './lib.mjs'

const flags = new Set(process.argv.slice(2))

const works = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0

/** What is missing to build the addon here, as the end of a sentence. */
function obstacle() {
  if (!bin('cmake-js')) return 'the dev dependencies are not installed (npm install)'
  if (!works('cmake')) return 'cmake is not installed'
  if (![process.env.CXX || 'c++', 'g++', 'clang++'].some(works)) return 'there is no C++ compiler'
  if (!works('make') && !works('ninja')) return 'there is neither make nor ninja'
  return undefined
}

function build() {
  if (process.platform !== 'linux') {
    say('the native addon is for Linux only; everything else works without it.')
    return
  }
  const cheap = flags.has('--if-needed')
  if (cheap && !isStale([addonPath], ['native', 'CMakeLists.txt'])) return

  const missing = obstacle()
  if (missing) {
    say(`the native addon was not built, because ${missing}; tcp-sse works without TCP details.`)
    if (!flags.has('--optional')) process.exitCode = 1
    return
  }
  if (cheap) say('building the native addon (build/Release/addon.node)')
  const command = flags.has('--clean') ? 'rebuild' : 'compile'
  run(process.execPath, [bin('cmake-js'), command], cheap ? quiet : {})
  // CMake leaves the file alone when the compiled code did not change: note that it is current.
  utimesSync(addonPath, new Date(), new Date())
}

build()
