// What browsers load: its size, and that nothing of Node or of ours comes with it.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

it('tcp-sse/client is below 1.5 KB, minified and compressed, and imports npm eventsource alone, when that is asked for', async () => {
  const { outputFiles, metafile } = await build({
    entryPoints: [`${root}/src/client/index.ts`],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    external: ['eventsource'],
    metafile: true,
    write: false,
  })
  const text = outputFiles[0]?.text ?? ''
  expect(gzipSync(text, { level: 9 }).length).toBeLessThan(1_500)
  const imports = Object.values(metafile.outputs).flatMap(({ imports }) => imports)
  expect(imports.map(({ path, kind }) => [path, kind])).toEqual([['eventsource', 'dynamic-import']])
  for (const input of Object.keys(metafile.inputs)) expect(input).toMatch(/src\/client\//)
})

it('package.json offers the file for CDNs, and eventsource is an optional peer', () => {
  const { exports, unpkg, jsdelivr, peerDependenciesMeta } = JSON.parse(
    readFileSync(`${root}/package.json`, 'utf8'),
  )
  expect(exports['./client'].import.default).toBe('./dist/client.js')
  expect([unpkg, jsdelivr]).toEqual(['./dist/client.min.js', './dist/client.min.js'])
  expect(peerDependenciesMeta.eventsource).toEqual({ optional: true })
})
