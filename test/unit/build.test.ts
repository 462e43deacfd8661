import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { entry } from '../../tsup.config.js'

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

/** Every path of a C++ source that a build file names, sorted, without what only the tarball's binaries have. */
const nativeSources = (path: string) =>
  [...new Set(read(path).match(/native\/(?!portable_)\w+\.cc/g))].sort()

const subpath = (name: string) => (name === 'index' ? '.' : `./${name}`)

test('CMakeLists.txt and binding.gyp compile the same native sources', () => {
  const sources = nativeSources('CMakeLists.txt')
  expect(sources).toContain('native/addon.cc')
  expect(nativeSources('binding.gyp')).toEqual(sources)
})

test('both builders use the same definitions', () => {
  const definitions = (text: string) => [
    ...new Set(text.match(/\b(?:NAPI_VERSION=\d+|NODE_ADDON_API_\w+)/g)),
  ]
  const cmake = definitions(read('CMakeLists.txt')).sort()
  expect(cmake).toContain('NAPI_VERSION=8')
  expect(definitions(read('binding.gyp')).sort()).toEqual(cmake)
})

test('the addon and its loader speak the same version', () => {
  const inNative = read('native/tcp.h').match(/kAbi = (\d+);/)?.[1]
  expect(inNative).toBeDefined()
  expect(read('src/native/load-addon.ts').match(/const ABI = (\d+)\n/)?.[1]).toBe(inNative)
})

test('every entry point is built, exported, mapped to its source and documented', () => {
  const { exports, typesVersions } = JSON.parse(read('package.json'))
  const { paths } = JSON.parse(read('tsconfig.json')).compilerOptions
  const { entryPoints } = JSON.parse(read('typedoc.json'))

  const expected: Record<string, unknown> = { './package.json': './package.json' }
  const mapped: Record<string, string[]> = {}
  for (const [name, source] of Object.entries(entry)) {
    expected[subpath(name)] = {
      import: { types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` },
      require: { types: `./dist/${name}.d.cts`, default: `./dist/${name}.cjs` },
    }
    mapped[subpath(name).replace('.', 'tcp-sse')] = [`./${source}`]
  }
  expect(exports).toEqual(expected)
  // For TypeScript's `moduleResolution: node10`, which does not know `exports`.
  const names = Object.keys(entry).filter((name) => name !== 'index')
  expect(typesVersions).toEqual({
    '*': Object.fromEntries(names.map((name) => [name, [`./dist/${name}.d.cts`]])),
  })
  expect(paths).toEqual(mapped)
  expect(entryPoints).toEqual(Object.values(entry))
})

test('the package installs without running a script', () => {
  const { scripts, gypfile, files, dependencies } = JSON.parse(read('package.json'))
  // With gypfile unset, npm would add an install script because binding.gyp is in the folder.
  expect(gypfile).toBe(false)
  expect(files).not.toContain('binding.gyp')
  expect(dependencies).toBeUndefined()
  for (const name of ['preinstall', 'install', 'postinstall']) expect(scripts[name]).toBeUndefined()
})
