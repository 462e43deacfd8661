// Scores go into docs/interop.md, between the markers of their section: nobody types them.
import { readFileSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { root } from './lib.mjs'

const page = join(root, 'docs', 'interop.md')

/** Replaces the generated part of a section. */
export function writeScore(section, lines) {
  const text = readFileSync(page, 'utf8')
  const [begin, end] = [`<!-- generated: ${section} -->`, `<!-- end: ${section} -->`]
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from < 0 || to < from) throw new Error(`docs/interop.md has no section '${section}'.`)
  const part = `${begin}\n\n${lines.join('\n')}\n\n`
  writeFileSync(page, text.slice(0, from) + part + text.slice(to))
}

/** What a score was seen on: `Linux 6.18, 2026-11-25`. */
export function here() {
  return `Linux ${release().split('-')[0]}, ${new Date().toISOString().slice(0, 10)}`
}
