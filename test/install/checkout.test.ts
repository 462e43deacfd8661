// A checkout on a machine without compilers, and what a binary must be like to be shipped.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { builtAddon, root } from './scene.js'

interface Portable {
  targets: { arch: string; machine: string }[]
  faults(said: { readelf: string; nm: string }, machine: string): string[]
  faultsOf(file: string, machine: string): string[]
}
// Scripts are plain JavaScript: they run before anything is installed.
const script = new URL('../../scripts/portable.mjs', import.meta.url).href
const { faults, faultsOf, targets } = (await import(script)) as Portable
const machine = targets.find(({ arch }) => arch === process.arch)?.machine ?? ''

describe.runIf(process.platform === 'linux')('a checkout without compilers on the PATH', () => {
  const build = (...flags: string[]) =>
    spawnSync(process.execPath, [join(root, 'scripts', 'build-native.mjs'), ...flags], {
      encoding: 'utf8',
      env: { PATH: '/nowhere' },
    })

  it('is installed all the same, and one line says what is missing', () => {
    const { status, stdout } = build('--optional')
    expect(status).toBe(0)
    expect(stdout).toMatch(/^tcp-sse: the native addon was not built, because .+\n$/)
  })

  it('fails to build where building is what was asked for', () => {
    expect(build().status).toBe(1)
  })
})

describe.runIf(machine !== '' && process.platform === 'linux')('a binary for the tarball', () => {
  const good = {
    readelf: `  Machine:                           ${machine}\n`,
    nm: [
      '                 U napi_get_undefined',
      '                 U strlen',
      '                 U __stack_chk_fail',
      '0000000000001000 T napi_register_module_v1',
      '0000000000001010 T node_api_module_get_api_version_v1',
      '',
    ].join('\n'),
  }

  it('may import from Node-API and the few functions of libc on the list', () => {
    expect(faults(good, machine)).toEqual([])
  })

  it.each([
    ['is for another machine', { ...good, readelf: '  Machine:  MIPS R3000\n' }],
    [
      'needs a library',
      { ...good, readelf: `${good.readelf} 0x1 (NEEDED)  Shared library: [libc.so.6]\n` },
    ],
    ['versions a symbol', { ...good, nm: good.nm.replace('strlen', 'strlen@GLIBC_2.2.5') }],
    ['wants more of libc', { ...good, nm: good.nm.replace('strlen', '__memcpy_chk') }],
    [
      'has no stack protector',
      { ...good, nm: good.nm.replace('                 U __stack_chk_fail\n', '') },
    ],
    ['wants a C++ runtime', { ...good, nm: good.nm.replace('strlen', '_Znwm') }],
    ['exports more than an entry', { ...good, nm: `${good.nm}0000000000001020 W _ZNSs4swapEv\n` }],
  ])('is refused if it %s', (_, said) => {
    expect(faults(said, machine)).toHaveLength(1)
  })

  it.runIf(existsSync(builtAddon))('is not what an ordinary build makes', () => {
    expect(faultsOf(builtAddon, machine)).toContain('it needs libc.so.6')
  })
})
