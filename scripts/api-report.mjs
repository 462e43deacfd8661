// The public surface, entry by entry, as one text: `npm run api:report` writes docs/api-report.md, a test compares it.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('..', import.meta.url))
const FLAGS =
  ts.TypeFormatFlags.NoTruncation |
  ts.TypeFormatFlags.UseAliasDefinedOutsideCurrentScope |
  ts.TypeFormatFlags.WriteArrowStyleSignature

/**
 * The declarations of all entries as they are shipped: emitted, with what is marked `@internal` left out.
 *
 * @returns the texts by path; nothing is written to disk
 */
function declarations() {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root)
  const emitted = {
    ...options,
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
    stripInternal: true,
    incremental: false,
    tsBuildInfoFile: undefined,
    rootDir: root,
    outDir: out,
  }
  const texts = new Map()
  ts.createProgram(
    entries().map((entry) => join(root, entry)),
    emitted,
  ).emit(undefined, (path, text) => texts.set(path, text))
  return { texts, options }
}

/** A program over the emitted declarations, as a user's compiler has it. */
function declarationProgram() {
  const { texts, options } = declarations()
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile } = host
  host.fileExists = (path) => texts.has(path) || fileExists(path)
  host.readFile = (path) => texts.get(path) ?? readFile(path)
  // Without it, no folder is taken for missing.
  host.directoryExists = undefined
  const getSourceFile = host.getSourceFile
  host.getSourceFile = (path, ...rest) =>
    texts.has(path)
      ? ts.createSourceFile(path, texts.get(path), rest[0])
      : getSourceFile(path, ...rest)
  const files = entries().map(declarationOf)
  return {
    program: ts.createProgram(files, { ...options, skipLibCheck: false, noEmit: true }, host),
    texts,
  }
}

/** Where the declarations would be. */
const out = join(root, 'declarations')
const entries = () => JSON.parse(readFileSync(join(root, 'typedoc.json'), 'utf8')).entryPoints
const declarationOf = (entry) => join(out, entry.replace(/\.ts$/, '.d.ts'))

/** The report, what a user's compiler would say of our declarations, and their texts. */
export function checkedReport() {
  const { program, texts } = declarationProgram()
  // First: the order in which a union is printed is that in which its types were first seen.
  const report = reportOf(program)
  // Only ours: what a user's compiler says of other packages is not about us, and takes minutes.
  const problems = program
    .getSourceFiles()
    .filter(({ fileName }) => texts.has(fileName))
    .flatMap((file) => program.getSemanticDiagnostics(file))
    .map(
      ({ file, messageText }) =>
        `${file.fileName}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
    )
  return { report, problems, texts: [...texts.values()] }
}

/** @returns {string} */
function reportOf(program) {
  const checker = program.getTypeChecker()
  const parts = entries().map((entry) => {
    const source = program.getSourceFile(declarationOf(entry))
    const exports = checker.getExportsOfModule(checker.getSymbolAtLocation(source))
    const lines = exports.flatMap((each) => describe(checker, each, source)).sort()
    return `## ${entry}\n\n\`\`\`\n${lines.join('\n')}\n\`\`\`\n`
  })
  const head =
    '# Public API\n\nWritten by `npm run api:report` from the shipped types; a test fails when the surface changes without it. One line for each export and each member.\n'
  return `${head}\n${parts.join('\n')}`
}

function describe(checker, exported, at) {
  const symbol =
    exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
  const { name } = exported
  const print = (type) => checker.typeToString(type, undefined, FLAGS)
  const [declaration] = symbol.declarations ?? []
  if (symbol.flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.Class)) {
    const kind = symbol.flags & ts.SymbolFlags.Class ? 'class' : 'interface'
    const members = checker
      .getDeclaredTypeOfSymbol(symbol)
      .getProperties()
      .filter((member) => !isPrivate(member) && isOurs(member))
      .map((member) => {
        const optional = member.flags & ts.SymbolFlags.Optional ? '?' : ''
        return `${kind} ${name}.${nameOf(member)}${optional}: ${print(checker.getTypeOfSymbolAtLocation(member, at))}`
      })
    return [`${kind} ${name}`, ...members]
  }
  if (symbol.flags & ts.SymbolFlags.TypeAlias) {
    const type = checker.getDeclaredTypeOfSymbol(symbol)
    return [
      `type ${name} = ${checker.typeToString(type, undefined, FLAGS | ts.TypeFormatFlags.InTypeAlias)}`,
    ]
  }
  const type = checker.getTypeOfSymbolAtLocation(symbol, declaration)
  return [
    `${symbol.flags & ts.SymbolFlags.Function ? 'function' : 'const'} ${name}: ${print(type)}`,
  ]
}

/** TypeScript's own name of a well-known symbol has a number that is another one in each program. */
function nameOf({ name }) {
  return name.replace(/^__@(\w+)@\d+$/, '[Symbol.$1]')
}

/** Private names. */
function isPrivate(member) {
  return (
    (member.declarations ?? []).some(
      ({ name }) => name !== undefined && ts.isPrivateIdentifier(name),
    ) ||
    (member.declarations ?? []).some(
      (each) =>
        ts.getCombinedModifierFlags(each) & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected),
    )
  )
}

/** Not what a class has from Node's or the language's own. */
function isOurs(member) {
  return (member.declarations ?? []).some(
    (each) => !each.getSourceFile().fileName.includes('node_modules'),
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(join(root, 'docs', 'api-report.md'), reportOf(declarationProgram().program))
}
