// Bundles as people make them, with the library inside and outside: each is run in a separate process.
import { execFile } from 'node:child_process'
import { cpSync, existsSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, extname, join } from 'node:path'
import { promisify } from 'node:util'
import { build as esbuild } from 'esbuild'
import { rollup } from 'rollup'
import { build as vite } from 'vite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import webpack from 'webpack'
import { Application, builtAddon, put } from './scene.js'

const app = new Application()
const outside = /^tcp-sse(\/|$)/
const source = join(app.folder, 'app.mjs')
/** Where the package is put while a bundle that has it inside runs. */
const away = join(app.folder, 'away')

beforeAll(async () => {
  await app.install()
  put(app.prebuild, { copyOf: builtAddon })
  writeFileSync(
    source,
    `import http from 'node:http'
     import { capabilities, createEventStream } from 'tcp-sse'
     import { dashboard } from 'tcp-sse/dashboard'
     const panel = dashboard()
     const server = http.createServer((req, res) => {
       if (req.url === '/') createEventStream(req, res).send({ data: 'hello' })
       else if (req.url === '/panel/') panel(req, res, (error) => res.end(error.code))
       else panel(req, res)
     })
     server.listen(0, '127.0.0.1', async () => {
       const url = 'http://127.0.0.1:' + server.address().port
       const page = await (await fetch(url + '/panel/')).text()
       const bare = await (await fetch(url + '/bare/')).text()
       http.get(url, (res) => {
         let text = ''
         res.on('data', (chunk) => {
           text += chunk
           if (!text.includes('hello')) return
           const { addon, reason } = capabilities()
           console.log(JSON.stringify({ text, addon, reason, page, bare }))
           process.exit()
         })
       })
     })`,
  )
}, 180_000)
afterAll(() => app.remove())

/** What rollup does not look for without a plugin. */
function fileOf(id: string): string | null {
  if (!outside.test(id)) return null
  return join(app.package, 'dist', `${id === 'tcp-sse' ? 'index' : basename(id)}.js`)
}

const ncc = createRequire(import.meta.url).resolve('@vercel/ncc/dist/ncc/cli.js')

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
      external: external ? ['tcp-sse', 'tcp-sse/*'] : [],
      logLevel: 'error',
    })

const webpacked =
  (format: 'esm' | 'cjs'): Make =>
  async (file, external) => {
    const compiler = webpack({
      mode: 'production',
      optimization: { minimize: false },
      target: 'node20',
      context: app.folder,
      entry: source,
      externals: external ? [outside] : [],
      externalsType: format === 'esm' ? 'module' : 'commonjs',
      experiments: { outputModule: format === 'esm' },
      output: {
        path: dirname(file),
        filename: basename(file),
        module: format === 'esm',
        chunkFormat: format === 'esm' ? 'module' : 'commonjs',
      },
    })
    const stats = await new Promise<webpack.Stats | undefined>((resolve, reject) =>
      compiler.run((error, result) => (error ? reject(error) : resolve(result))),
    )
    await new Promise((resolve) => compiler.close(resolve))
    expect(stats?.toString({ all: false, errors: true, warnings: true })).toBe('')
  }

/** ncc makes an ES module of one, by the source's name, else CommonJS. */
const compiled =
  (entry: string): Make =>
  async (file, external) => {
    if (entry !== source) cpSync(source, entry)
    const out = `${file}.out`
    const names = external ? ['tcp-sse', 'tcp-sse/dashboard'] : []
    const args = ['build', entry, '-o', out, '--no-cache', ...names.flatMap((name) => ['-e', name])]
    // In the application's folder: it reads the TypeScript settings that it finds around it.
    await promisify(execFile)(process.execPath, [ncc, ...args], { cwd: app.folder })
    renameSync(join(out, `index${extname(entry)}`), file)
  }

const bundlers: [string, string, Make][] = [
  ['esbuild, esm', 'esbuild.mjs', esbuilt('esm')],
  ['esbuild, cjs', 'esbuild.cjs', esbuilt('cjs')],
  [
    'rollup',
    'rollup.mjs',
    async (file, external) => {
      const bundle = await rollup({
        input: source,
        external: (id) => id.startsWith('node:') || (external && outside.test(id)),
        plugins: [{ name: 'find', resolveId: fileOf }],
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
        ssr: external ? { external: ['tcp-sse'] } : { noExternal: ['tcp-sse'] },
        build: {
          ssr: source,
          outDir: app.folder,
          emptyOutDir: false,
          rollupOptions: { output: { entryFileNames: file.slice(app.folder.length + 1) } },
        },
      }),
  ],
  ['webpack, esm', 'webpack.mjs', webpacked('esm')],
  ['webpack, cjs', 'webpack.cjs', webpacked('cjs')],
  ['ncc, esm', 'ncc.mjs', compiled(source)],
  ['ncc, cjs', 'ncc.cjs', compiled(join(app.folder, 'app.js'))],
]

describe.runIf(process.platform === 'linux' && existsSync(builtAddon))('a bundle', () => {
  for (const [title, name, make] of bundlers) {
    for (const external of [true, false]) {
      it(`by ${title}, with the library ${external ? 'outside' : 'inside'}, serves events and reports its addon`, async () => {
        const file = join(app.folder, `${external ? 'outside' : 'inside'}-${name}`)
        await make(file, external)
        // A bundle that has the library in it is run where the package is not installed.
        if (!external) renameSync(app.package, away)
        try {
          const run = `await import(${JSON.stringify(file)})`
          const { stdout, stderr } = await app.run(run)
          expect(stderr).toBe('')
          const result = JSON.parse(stdout)
          expect(result.text).toBe(':\n\ndata: hello\n\n')
          if (external) {
            expect(result).toMatchObject({ addon: true })
            expect(result.page).toContain('<!doctype html>')
          } else {
            expect(result.reason).toContain('Mark tcp-sse as external in the bundler')
            expect(result.page).toBe('ERR_DASHBOARD_FILES')
            expect(result.bare).toContain('tell the bundler that tcp-sse is external')
          }
          // The other way: the addon's file is put beside the bundle, and named.
          const copy = join(app.folder, 'addon.node')
          cpSync(builtAddon, copy)
          const named = await app.run(run, [], { TCP_SSE_ADDON: copy })
          expect(JSON.parse(named.stdout)).toMatchObject({
            addon: true,
            text: ':\n\ndata: hello\n\n',
          })
        } finally {
          if (!external) renameSync(away, app.package)
        }
      }, 180_000)
    }
  }

  for (const [title, name, make] of bundlers.filter(([, file]) => file.startsWith('webpack'))) {
    it(`by ${title}, with the library inside, finds the package where it was when the bundle was made`, async () => {
      const file = join(app.folder, `still-${name}`)
      await make(file, false)
      const { stdout } = await app.run(`await import(${JSON.stringify(file)})`)
      const { addon, page } = JSON.parse(stdout)
      expect(addon).toBe(true)
      expect(page).toContain('<!doctype html>')
    }, 180_000)
  }
})
