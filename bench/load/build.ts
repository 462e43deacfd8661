// The small C programs of the bench, built on demand beside the addon.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The path of a program of this folder, built if its source is newer. */
export function program(name: 'churn' | 'client' | 'floor'): string {
  const source = fileURLToPath(new URL(`./${name}.c`, import.meta.url))
  const folder = fileURLToPath(new URL('../../build/bench', import.meta.url))
  const file = `${folder}/${name}`
  if (!existsSync(file) || statSync(file).mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(folder, { recursive: true })
    execFileSync('cc', ['-O2', '-Wall', '-o', file, source], { stdio: 'inherit' })
  }
  return file
}
