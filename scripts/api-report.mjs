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

/** @returns {string} */
export function apiReport() {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root)
  const entries = JSON.parse(readFileSync(join(root, 'typedoc.json'), 'utf8')).entryPoints
  const program = ts.createProgram(
    entries.map((entry) => join(root, entry)),
    { ...options, declaration: true },
  )
  const checker = program.getTypeChecker()
  const parts = entries.map((entry) => {
    const source = program.getSourceFile(join(root, entry))
    const exports = checker.getExportsOfModule(checker.getSymbolAtLocation(source))
    const lines = exports.flatMap((each) => describe(checker, each, source)).sort()
    return `## ${entry}\n\n\`\`\`\n${lines.join('\n')}\n\`\`\`\n`
  })
  const head =
    '# Public API\n\nWritten by `npm run api:report`; a test fails when the surface changes without it. One line for each export and each member.\n'
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
      .filter((member) => !isInternal(member) && isOurs(member))
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

/** Private names and what is marked so. */
function isInternal(member) {
  return (
    (member.declarations ?? []).some(
      ({ name }) => name !== undefined && ts.isPrivateIdentifier(name),
    ) ||
    member.getJsDocTags().some(({ name }) => name === 'internal') ||
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
  writeFileSync(join(root, 'docs', 'api-report.md'), apiReport())
}
