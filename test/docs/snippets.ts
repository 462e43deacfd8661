// The code in README, docs/ and the docstrings of src/, and what a reader of it has in mind.
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** The text of a file, by its path from the root. */
export const read = (path: string): string => readFileSync(join(root, path), 'utf8')

/** The anchor of a heading, as GitHub makes it. */
export const anchorOf = (title: string): string =>
  title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-')

export interface Snippet {
  /** File and line of the first line of code. */
  where: string
  /** Path of the file, from the root. */
  file: string
  line: number
  code: string
  /** The words after the language: `runnable`. */
  marks: readonly string[]
}

/** The pages that users read, from the root. */
export function pages(): string[] {
  const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'))
  return ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...docs.map((name) => `docs/${name}`)]
}

/** The TypeScript blocks of a page. */
export function blocksOf(file: string): Snippet[] {
  const found: Snippet[] = []
  let open: { marks: string[]; line: number; lines: string[] } | undefined
  for (const [index, text] of read(file).split('\n').entries()) {
    const fence = /^```(\w*)(.*)$/.exec(text)
    if (fence === null) open?.lines.push(text)
    else if (open !== undefined) {
      found.push(snippet(file, open.line, open.lines, open.marks))
      open = undefined
    } else {
      const [, language, rest = ''] = fence
      open = {
        marks: [`${language}`, ...rest.split(' ').filter(Boolean)],
        line: index + 2,
        lines: [],
      }
    }
  }
  return found.filter(({ marks }) => marks[0] === 'ts')
}

/** The `@example`s of a source. */
export function examplesOf(file: string): Snippet[] {
  const found: Snippet[] = []
  let open: { line: number; lines: string[] } | undefined
  for (const [index, text] of read(file).split('\n').entries()) {
    const ends = /^\s*\*\/|^\s*\* @/.test(text)
    if (open !== undefined && ends) {
      found.push(snippet(file, open.line, open.lines, []))
      open = undefined
    } else if (open !== undefined) open.lines.push(text.replace(/^\s*\* ?/, ''))
    if (/^\s*\* @example\s*$/.test(text)) open = { line: index + 2, lines: [] }
  }
  return found
}

/** The sources in a folder, by their path from the root. */
export function sources(folder = 'src', kind = /\.ts$/): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => kind.test(name))
    .map((name) => relative(root, join(root, folder, name)))
}

function snippet(file: string, line: number, lines: string[], marks: string[]): Snippet {
  return { where: `${file}:${line}`, file, line, code: lines.join('\n'), marks }
}

/** What a block may use without saying where it comes from. */
const GIVEN: Readonly<Record<string, string>> = {
  app: "declare const app: import('express').Express",
  data: 'declare const data: unknown',
  event: "declare const event: import('tcp-sse').EventInput & { id: string }",
  guard: "declare const guard: import('tcp-sse').Guard",
  http: "import http from 'node:http'",
  it: "import { it } from 'vitest'",
  news: "declare const news: import('tcp-sse').Channel",
  child: "declare const child: import('tcp-sse/testing').ChildProcessHandle",
  port: 'declare const port: number',
  req: "declare const req: import('node:http').IncomingMessage",
  request: 'declare const request: Request',
  res: "declare const res: import('node:http').ServerResponse",
  rows: "declare const rows: AsyncIterable<import('tcp-sse').EventInput>",
  secret: 'declare const secret: string',
  server: "declare const server: import('node:http').Server",
  signal: 'declare const signal: AbortSignal',
  sockets: "declare const sockets: ReadonlySet<import('node:net').Socket>",
  socket: "declare const socket: import('node:net').Socket",
  stream: "declare const stream: import('tcp-sse').EventStream",
  EventSource: "declare const EventSource: typeof import('eventsource').EventSource",
}

/** `app` in the docstrings of an adapter is the framework's. */
const APPS: Readonly<Record<string, string>> = {
  'src/adapters/koa.ts': "declare const app: import('koa')",
  'src/adapters/fastify.ts': "declare const app: import('fastify').FastifyInstance",
  'src/adapters/hono.ts': "declare const app: import('hono').Hono",
}

/**
 * A block as a module: what it uses without declaring it is declared above it, on one line. Names that are in `importable`
 * are imported.
 */
export function asModule({ code, file }: Snippet, importable: ReadonlyMap<string, string>): string {
  const given = new Map(
    Object.entries({ ...GIVEN, ...(file in APPS ? { app: `${APPS[file]}` } : {}) }),
  )
  const head = [...freeNames(code)].flatMap((name) => {
    const from = importable.get(name)
    return from === undefined ? (given.get(name) ?? []) : `import { ${name} } from '${from}'`
  })
  return `${head.join('; ')}; export {}\n${code}`
}

function freeNames(code: string): Set<string> {
  const used = new Set<string>()
  const declared = new Set<string>()
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) (isDeclared(node) ? declared : used).add(node.text)
    else if (ts.isPropertyAccessExpression(node)) visit(node.expression)
    else ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile('snippet.ts', code, ts.ScriptTarget.Latest, true))
  for (const name of declared) used.delete(name)
  return used
}

function isDeclared(node: ts.Identifier): boolean {
  const { parent } = node
  if (ts.isPropertyAssignment(parent)) return parent.name === node
  return (
    (ts.isVariableDeclaration(parent) ||
      ts.isParameter(parent) ||
      ts.isBindingElement(parent) ||
      ts.isFunctionDeclaration(parent) ||
      ts.isClassDeclaration(parent) ||
      ts.isMethodDeclaration(parent) ||
      ts.isImportClause(parent) ||
      ts.isImportSpecifier(parent)) &&
    parent.name === node
  )
}
