// Copies the local addon to prebuilds/<platform>-<arch>/addon.node, which the tarball carries.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { addonPath, prebuiltPath, root, run, say } from './lib.mjs'

// What Node 20's own Linux binaries ask of the system: needing more would exclude machines that
// run Node 20. (glibc 2.28, and the libstdc++ of GCC 8.)
const ceiling = { GLIBC: [2, 28], GLIBCXX: [3, 4, 25] }

/** The highest version of a versioned library symbol that a binary names, or undefined. */
function highest(library, text) {
  const versions = [...text.matchAll(new RegExp(`\\b${library}_(\\d+(?:\\.\\d+)+)\\0`, 'g'))]
  return versions
    .map(([, version]) => version.split('.').map(Number))
    .sort(compare)
    .at(-1)
}

function compare(a, b) {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

if (process.platform !== 'linux') {
  say('no prebuilt addon: the native addon is for Linux only.')
  process.exit()
}

run(process.execPath, [join(root, 'scripts', 'build-native.mjs'), '--if-needed'])
mkdirSync(dirname(prebuiltPath), { recursive: true })
copyFileSync(addonPath, prebuiltPath)
spawnSync('strip', ['--strip-all', prebuiltPath], { stdio: 'ignore' }) // Only to make it smaller.

const binary = readFileSync(prebuiltPath, 'latin1')
const needs = []
for (const [library, limit] of Object.entries(ceiling)) {
  const version = highest(library, binary)
  if (!version) continue
  needs.push(`${library} ${version.join('.')}`)
  if (compare(version, limit) > 0) {
    say(`this addon needs ${library} ${version.join('.')}, newer than Node 20 does.`)
    say(`build it on an older system: prebuilds may need ${library} ${limit.join('.')} at most.`)
    process.exit(1)
  }
}
const size = Math.round(binary.length / 1024)
say(`${relative(root, prebuiltPath)}: ${size} KB, needs ${needs.join(', ')}`)
