// Every code has a heading in docs/errors.md, and every heading is a code.
import { expect, it } from 'vitest'
import { read, sources } from './snippets.js'

it('docs/errors.md has a heading for each error code, and for nothing else', () => {
  const codes = [...read('src/internal/errors.ts').matchAll(/^ {2}\| '(\w+)'/gm)].map(
    ([, code]) => code,
  )
  const headings = [...read('docs/errors.md').matchAll(/^## (\w+)$/gm)].map(([, code]) => code)
  expect(codes.length).toBeGreaterThan(20)
  expect(headings).toEqual(codes)
})

it('docs/errors.md has a heading for the code of each process warning, and for nothing else', () => {
  const codes = sources()
    .flatMap((file) => [...read(file).matchAll(/emitWarning\([\s\S]*?code: '(\w+)'/g)])
    .map(([, code]) => code)
  const emitted = sources().flatMap((file) => read(file).match(/emitWarning\(/g) ?? [])
  const headings = [...read('docs/errors.md').matchAll(/^### (\w+)$/gm)].map(([, code]) => code)
  // None without a code.
  expect(codes.length).toBe(emitted.length)
  expect(headings).toEqual([...new Set(codes)].sort())
})
