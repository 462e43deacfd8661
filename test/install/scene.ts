// This package as npm puts it into an application: dist/ of the present sources, package.json, and the prebuilt addons that
// a test wants to be there. Nothing is on the PATH of the processes that use it.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'tsup'
import { entry } from '../../tsup.config.js'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** The addon that this checkout has built. */
export const builtAddon = process.env.TCP_SSE_ADDON ?? join(root, 'build', 'Release', 'addon.node')

/** What a process that loaded the package has printed. */
export interface Outcome {
  status: number | null
  stdout: string
  stderr: string
}

/** An application with the package in its node_modules. */
export class Application {
  readonly folder = mkdtempSync(join(tmpdir(), 'tcp-sse-app-'))
  readonly package = join(this.folder, 'node_modules', 'tcp-sse')
  readonly prebuild = this.#placeOf('prebuilds', `${process.platform}-${process.arch}`)
  readonly build = this.#placeOf('build', 'Release')

  /** Bundles the sources: the slow part, so once a test file. */
  async install(): Promise<void> {
    await build({
      entry: Object.fromEntries(
        Object.entries(entry).map(([name, source]) => [name, join(root, source)]),
      ),
      config: false,
      format: ['esm', 'cjs'],
      target: 'node20',
      platform: 'node',
      shims: true,
      splitting: true,
      publicDir: join(root, 'src', 'dashboard', 'public'),
      silent: true,
      outDir: join(this.package, 'dist'),
    })
    cpSync(join(root, 'package.json'), join(this.package, 'package.json'))
    writeFileSync(join(this.folder, 'package.json'), '{ "name": "app", "private": true }')
  }

  /** Takes every addon out. */
  empty(): void {
    for (const name of ['prebuilds', 'build']) {
      rmSync(join(this.package, name), { recursive: true, force: true })
    }
  }

  /** Runs an ES module's text in the application's folder, to its end. */
  async run(code: string, flags: readonly string[] = [], env: object = {}): Promise<Outcome> {
    const args = [...flags, '--input-type=module', '-e', code]
    const child = spawn(process.execPath, args, {
      cwd: this.folder,
      env: { PATH: this.folder, ...env },
      timeout: 15_000,
    })
    const outcome: Outcome = { status: null, stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', (text) => {
      outcome.stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text) => {
      outcome.stderr += text
    })
    ;[outcome.status] = await once(child, 'close')
    return outcome
  }

  /** `capabilities()` as the application sees them. */
  async capabilities(
    flags: readonly string[] = [],
    env: object = {},
  ): Promise<{ addon: boolean; reason?: string; detectionGuaranteed: boolean }> {
    const code = `import { capabilities } from 'tcp-sse'; console.log(JSON.stringify(capabilities()))`
    const { status, stdout, stderr } = await this.run(code, flags, env)
    if (status !== 0) throw new Error(stderr)
    return JSON.parse(stdout)
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  #placeOf(...path: string[]): string {
    return join(this.package, ...path, 'addon.node')
  }
}

/** Puts a file somewhere, folders included. */
export function put(path: string, what: { copyOf: string } | { content: string | Uint8Array }) {
  mkdirSync(dirname(path), { recursive: true })
  if ('copyOf' in what) cpSync(what.copyOf, path)
  else writeFileSync(path, what.content)
}

/** Compiles a Node-API addon that says it is of another version, or (`undefined`) says nothing. */
export function compileOther(path: string, abi: number | undefined): void {
  mkdirSync(dirname(path), { recursive: true })
  const source = fileURLToPath(new URL('./other-addon.c', import.meta.url))
  const headers = join(root, 'node_modules', 'node-api-headers', 'include')
  const args = ['-shared', '-fPIC', '-I', headers, source, '-o', path]
  const { status, stderr, error } = spawnSync(
    process.env.CC ?? 'cc',
    [...args, ...(abi === undefined ? [] : [`-DABI=${abi}`])],
    { encoding: 'utf8' },
  )
  if (status !== 0) throw error ?? new Error(stderr)
}
