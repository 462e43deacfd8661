// Links between the pages lead somewhere: the file is there, and so is the heading.
import { existsSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, it } from 'vitest'
import { anchorOf, pages, read, root } from './snippets.js'

function anchorsOf(file: string): Set<string> {
  const headings = read(file).matchAll(/^#+ (.+)$/gm)
  return new Set([...headings].map(([, text = '']) => anchorOf(text)))
}

function broken(page: string): string[] {
  const links = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
  return links
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => {
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? page : relative(root, join(root, dirname(page), path))
      if (!existsSync(join(root, file))) return true
      return anchor !== undefined && !anchorsOf(file).has(anchor)
    })
    .map((target) => `${page}: ${target}`)
}

it('every link within README and docs/ leads somewhere', () => {
  expect(pages().flatMap(broken)).toEqual([])
})

it('every page of docs/ is linked from the README', () => {
  const readme = read('README.md')
  const missing = pages().filter(
    (page) => page.startsWith('docs/') && !readme.includes(`](${page})`),
  )
  expect(missing).toEqual([])
})
