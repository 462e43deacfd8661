// What the build helpers share. They run before anything is installed or built: Node only.
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
export const addonPath = join(root, 'build', 'Release', 'addon.node')
/** The addon in the npm tarball for Linux on an architecture. */
export function prebuiltPath(arch = process.arch) {
  return join(root, 'prebuilds', `linux-${arch}`, 'addon.node')
}

const require = createRequire(import.meta.url)

/** One plain line, so that it can be found in npm's output. */
export function say(line) {
  console.log(`tcp-sse: ${line}`)
}

/** The script behind a dev dependency's command, or undefined if it is not installed. */
export function bin(packageName, command = packageName) {
  try {
    const manifest = require.resolve(`${packageName}/package.json`)
    const { bin } = JSON.parse(readFileSync(manifest, 'utf8'))
    return join(dirname(manifest), typeof bin === 'string' ? bin : bin[command])
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}

/** Runs a program in the package's folder and ends this process if it fails. */
export function run(program, args, options = {}) {
  const result = spawnSync(program, args, { cwd: root, stdio: 'inherit', ...options })
  if (result.error) throw result.error
  if (result.status === 0) return
  // With `quiet`, the output was held back until it was needed.
  if (result.stdout) process.stdout.write(result.stdout)
  if (result.stderr) process.stderr.write(result.stderr)
  process.exit(result.status ?? 1)
}

/** Packs this package into a folder; the tarball's path. */
export function packInto(folder) {
  run('npm', ['pack', '--silent', '--pack-destination', folder], quiet)
  return join(folder, `tcp-sse-${readManifest().version}.tgz`)
}

/**
 * The environment of a user who has Node and npm and nothing else: no compiler, no make, no Python, no shell, and none of
 * the variables that `npm run` hands down or that steer our loader. Links to the two are put into `folder`.
 */
export function bareEnvironment(folder) {
  const npm = process.env.PATH.split(delimiter)
    .map((place) => join(place, 'npm'))
    .find((path) => existsSync(path))
  mkdirSync(folder, { recursive: true })
  symlinkSync(process.execPath, join(folder, 'node'))
  symlinkSync(realpathSync(npm), join(folder, 'npm'))
  const kept = Object.entries(process.env).filter(([name]) => !/^(npm_|TCP_SSE_)/i.test(name))
  return { ...Object.fromEntries(kept), PATH: folder }
}

export function readManifest(folder = root) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
}

export const quiet = { stdio: ['ignore', 'pipe', 'pipe'] }

function filesUnder(path) {
  const full = join(root, path)
  if (!statSync(full).isDirectory()) return [full]
  const entries = readdirSync(full, { recursive: true, withFileTypes: true })
  return entries.filter((e) => e.isFile()).map((e) => join(e.parentPath ?? e.path, e.name))
}

/** True if an output is missing, or older than any file of the inputs (files or folders). */
export function isStale(outputs, inputs) {
  if (!outputs.every((path) => existsSync(path))) return true
  const oldestOutput = Math.min(...outputs.map((path) => statSync(path).mtimeMs))
  return inputs.flatMap(filesUnder).some((path) => statSync(path).mtimeMs > oldestOutput)
}
