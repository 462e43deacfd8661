// What makes a binary of ours one that any Linux process with Node-API can load, whatever its C library:
// it names no library, versions no symbol, and imports only what is listed here.
import { execFileSync } from 'node:child_process'

/** The platforms that the npm tarball has an addon for; `triple` begins the name of their GNU tools. */
export const targets = [
  { arch: 'x64', triple: 'x86_64', machine: 'Advanced Micro Devices X86-64' },
  { arch: 'arm64', triple: 'aarch64', machine: 'AArch64' },
]

/**
 * POSIX; `__errno_location`, which is what `errno` is in both glibc and musl (LSB has it too); and what the compiler's stack
 * protector calls, or reads on arm64, which both have as well.
 */
const STACK_PROTECTOR = '__stack_chk_fail'
const fromLibc = new Set([
  ...[
    STACK_PROTECTOR,
    '__stack_chk_guard',
    '__errno_location',
    'abort',
    'bind',
    'close',
    'free',
    'getsockname',
    'getsockopt',
    'ioctl',
  ],
  ...['listen', 'malloc', 'memcpy', 'memmove', 'memset', 'recv', 'send', 'sendmsg', 'setsockopt'],
  ...['socket', 'strlen', 'syscall'],
])

const exported = ['napi_register_module_v1', 'node_api_module_get_api_version_v1']

/**
 * What is wrong with a binary, a sentence each; empty where it may be shipped. `text` is what `readelf -hd` and
 * `nm -D` say of it.
 */
export function faults({ readelf, nm }, machine) {
  const symbols = nm
    .split('\n')
    .map((line) => line.trim().split(/\s+/).slice(-2))
    .filter(([kind, name]) => kind && name)
  const imports = symbols.filter(([kind]) => 'Uwv'.includes(kind)).map(([, name]) => name)
  const exports = symbols.filter(([kind]) => !'Uwv'.includes(kind)).map(([, name]) => name)
  const found = []
  if (readelf.match(/Machine:\s+(.+)/)?.[1] !== machine) found.push(`it is not for ${machine}`)
  for (const [, library] of readelf.matchAll(/\(NEEDED\).*\[(.+)\]/g)) {
    found.push(`it needs ${library}`)
  }
  if (/\(TEXTREL\)/.test(readelf)) found.push('it has text relocations')
  for (const name of imports) {
    if (!/^(napi|node_api)_\w+$/.test(name) && !fromLibc.has(name)) {
      found.push(`it imports ${name}, which is not on the list`)
    }
  }
  if (!imports.includes(STACK_PROTECTOR)) found.push('it has no stack protector')
  if (exports.sort().join() !== exported.join()) found.push(`it exports ${exports.join(', ')}`)
  return found
}

/** `faults` of a file. */
export function faultsOf(file, machine) {
  const ask = (program, flags) =>
    execFileSync(program, [flags, file], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } })
  return faults({ readelf: ask('readelf', '-hdW'), nm: ask('nm', '-D') }, machine)
}
