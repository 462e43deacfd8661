// Bundles as people make them, with the library inside and outside: each is run, in a process of its own.
import { cpSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build as esbuild } from 'esbuild'
import { rollup } from 'rollup'
import { build as vite } from 'vite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Application, builtAddon, put } from './scene.js'

const app = new Application()
const outside = 'tcp-sse'
const source = join(app.folder, 'app.mjs')
const library = join(app.package, 'dist', 'index.js')

beforeAll(async () => {
  await app.install()
  put(app.prebuild, { copyOf: builtAddon })
  writeFileSync(
    source,
    `import http from 'node:http'
     import { capabilities, createEventStream } from 'tcp-sse'
     const server = http.createServer((req, res) => createEventStream(req, res).send({ data: 'hello' }))
     server.listen(0, '127.0.0.1', () => {
       http.get({ port: server.address().port, host: '127.0.0.1' }, (res) => {
         let text = ''
         res.on('data', (chunk) => {
           text += chunk
           if (!text.includes('hello')) return
           const { addon, reason } = capabilities()
           console.log(JSON.stringify({ text, addon, reason }))
           process.exit()
         })
       })
     })`,
  )
}, 60_000)
afterAll(() => app.remove())

type Make = (file: string, external: boolean) => Promise<unknown>

const esbuilt =
  (format: 'esm' | 'cjs'): Make =>
  (outfile, external) =>
    esbuild({
      entryPoints: [source],
      bundle: true,
      platform: 'node',
      format,
      outfile,
      external: external ? [outside] : [],
      logLevel: 'error',
    })

const bundlers: [string, string, Make][] = [
  ['esbuild, esm', 'esbuild.mjs', esbuilt('esm')],
  ['esbuild, cjs', 'esbuild.cjs', esbuilt('cjs')],
  [
    'rollup',
    'rollup.mjs',
    async (file, external) => {
      const bundle = await rollup({
        input: source,
        external: (id) => id.startsWith('node:') || (external && id === outside),
        plugins: [{ name: 'find', resolveId: (id) => (id === outside ? library : null) }],
        onwarn() {},
      })
      await bundle.write({ file, format: 'es', inlineDynamicImports: true })
      await bundle.close()
    },
  ],
  [
    'Vite SSR',
    'vite.mjs',
    (file, external) =>
      vite({
        root: app.folder,
        configFile: false,
        logLevel: 'error',
        ssr: external ? { external: [outside] } : { noExternal: [outside] },
        build: {
          ssr: source,
          outDir: app.folder,
          emptyOutDir: false,
          rollupOptions: { output: { entryFileNames: file.slice(app.folder.length + 1) } },
        },
      }),
  ],
]

describe.runIf(process.platform === 'linux' && existsSync(builtAddon))('a bundle', () => {
  for (const [title, name, make] of bundlers) {
    for (const external of [true, false]) {
      it(`by ${title}, with the library ${external ? 'outside' : 'inside'}, serves events and tells of its addon`, async () => {
        const file = join(app.folder, `${external ? 'outside' : 'inside'}-${name}`)
        await make(file, external)
        const run = `await import(${JSON.stringify(file)})`
        const { stdout, stderr } = await app.run(run)
        expect(stderr).toBe('')
        const result = JSON.parse(stdout)
        expect(result.text).toBe(':\n\ndata: hello\n\n')
        if (external) expect(result).toMatchObject({ addon: true })
        else expect(result.reason).toContain('tell the bundler that tcp-sse is external')
        // The other way: the addon's file is put beside the bundle, and named.
        const copy = join(app.folder, 'addon.node')
        cpSync(builtAddon, copy)
        const named = await app.run(run, [], { TCP_SSE_ADDON: copy })
        expect(JSON.parse(named.stdout)).toMatchObject({
          addon: true,
          text: ':\n\ndata: hello\n\n',
        })
      }, 60_000)
    }
  }
})
