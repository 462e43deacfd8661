// The small C programs of this folder, compiled when they are first needed, beside the addon.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The path of a program, built if its source is newer. */
export function cProgram(name: 'docker-seccomp' | 'pipe' | 'shrunk-clients'): string {
  const root = packageFolder()
  const source = join(root, 'test/support', `${name}.c`)
  const folder = join(root, 'build/test')
  const file = join(folder, name)
  if (!existsSync(file) || statSync(file).mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(folder, { recursive: true })
    // Other processes may want it at the same time.
    const fresh = `${file}.${process.pid}`
    execFileSync('cc', ['-O2', '-Wall', '-o', fresh, source], { stdio: 'inherit' })
    renameSync(fresh, file)
  }
  return file
}

/** This file runs as it is, and bundled into build/. */
function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
}
