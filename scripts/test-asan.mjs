// Runs the tests that reach native code against an addon built with AddressSanitizer and
// UndefinedBehaviorSanitizer, and otherwise with the flags of a release. Arguments are handed to vitest.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { bin, root, run } from './lib.mjs'

const folders = ['test/socket', 'test/native', 'test/stream', 'test/channel']

run(process.execPath, [
  ...[bin('cmake-js'), 'compile', '--out', 'build-asan'],
  '--CDTCP_SSE_SANITIZE=ON',
])

const library = (name) =>
  execFileSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim()

run(process.execPath, [bin('vitest'), 'run', ...folders, ...process.argv.slice(2)], {
  env: {
    ...process.env,
    TCP_SSE_ADDON: join(root, 'build-asan', 'Release', 'addon.node'),
    // Node is not built with the sanitizer: its runtime must be there before the addon asks.
    LD_PRELOAD: `${library('libasan.so')} ${library('libstdc++.so')}`,
    // vitest's workers leave allocations behind that are not ours.
    ASAN_OPTIONS: 'detect_leaks=0',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  },
})
