// Every block of TypeScript in README, docs/ and the docstrings is type-checked against the sources.
import { dirname, join } from 'node:path'
import ts from 'typescript'
import { expect, it } from 'vitest'
import { asModule, blocksOf, examplesOf, pages, root, type Snippet, sources } from './snippets.js'

const { compilerOptions } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile).config
const { options } = ts.convertCompilerOptionsFromJson(
  { ...compilerOptions, verbatimModuleSyntax: false },
  root,
)

/** Diagnostics of the snippets, each with the place in the page. */
function problems(snippets: readonly Snippet[], texts: readonly string[]): string[] {
  const files = new Map(
    texts.map((text, index) => [join(root, 'test', `snippet-${index}.ts`), text]),
  )
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile, getSourceFile } = host
  host.fileExists = (name) => files.has(name) || fileExists.call(host, name)
  host.readFile = (name) => files.get(name) ?? readFile.call(host, name)
  host.getSourceFile = (name, version) => {
    const text = files.get(name)
    return text === undefined
      ? getSourceFile.call(host, name, version)
      : ts.createSourceFile(name, text, version, true)
  }
  const program = ts.createProgram([...files.keys()], options, host)
  return [...files.keys()].flatMap((name, index) => {
    const source = program.getSourceFile(name)
    const { file, line } = snippets[index] as Snippet
    return [
      ...program.getSyntacticDiagnostics(source),
      ...program.getSemanticDiagnostics(source),
    ].map(({ start = 0, messageText }) => {
      const at = line - 1 + (source?.getLineAndCharacterOfPosition(start).line ?? 0)
      return `${file}:${at}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
    })
  })
}

const { paths } = compilerOptions as { paths: Record<string, [string]> }
const entries = ts.createProgram(
  Object.values(paths).map(([path]) => join(root, path)),
  options,
)
const checker = entries.getTypeChecker()

function exportsOf(path: string): ts.Symbol[] {
  const source = entries.getSourceFile(join(root, path))
  const module = source && checker.getSymbolAtLocation(source)
  if (module === undefined) throw new Error(`${path} is no module`)
  return checker.getExportsOfModule(module)
}

/** What a docstring may use without an import: the exports of its own entry point, then those of the main one. */
function importable(file: string): Map<string, string> {
  const names = new Map<string, string>()
  const own = Object.entries(paths).filter(
    ([, [path]]) => path === `./${file}` || path === `./${dirname(file)}/index.ts`,
  )
  for (const [specifier, [path]] of [...own, ['tcp-sse', paths['tcp-sse'] as [string]] as const]) {
    for (const { name } of exportsOf(path)) if (!names.has(name)) names.set(name, specifier)
  }
  return names
}

it('blocks of README and docs/ are correct as they stand', () => {
  const snippets = pages().flatMap(blocksOf)
  expect(snippets.length).toBeGreaterThan(15)
  const texts = snippets.map((each) => asModule(each, new Map()))
  expect(problems(snippets, texts)).toEqual([])
}, 180_000)

it('examples in docstrings are correct', () => {
  const snippets = sources().flatMap(examplesOf)
  expect(snippets.length).toBeGreaterThan(20)
  const texts = snippets.map((each) => asModule(each, importable(each.file)))
  expect(problems(snippets, texts)).toEqual([])
}, 180_000)

it('each exported function and class has an example', () => {
  const CALLED = ts.SymbolFlags.Function | ts.SymbolFlags.Class | ts.SymbolFlags.BlockScopedVariable
  const without = Object.entries(paths).flatMap(([specifier, [path]]) =>
    exportsOf(path)
      .map((each) => (each.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(each) : each))
      .filter(({ flags }) => flags & CALLED)
      .filter((each) => !each.getJsDocTags(checker).some(({ name }) => name === 'example'))
      .map(({ name }) => `${specifier}: ${name}`),
  )
  expect(without).toEqual([])
}, 180_000)
