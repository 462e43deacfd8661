// docs/api-report.md and docs/api.md as data: what is exported, and what the page says of it.
import ts from 'typescript'
import { read } from './snippets.js'

/** One export of one entry, by the report. */
export interface Export {
  /** `tcp-sse`, `tcp-sse/express`, … */
  readonly entry: string
  readonly name: string
  readonly kind: string
  /** Its lines in the report, which say whether two entries export the same thing. */
  readonly lines: readonly string[]
  /** The type of each member, by name. */
  readonly members: ReadonlyMap<string, string>
  /** What follows the name of a function, a constant or a type. */
  readonly type: string
}

const LINE =
  /^(class|interface|function|const|type) (\w+)(?:\.((?:(?!: | = ).)+?)\??)?(?:(?:: | = )(.*))?$/

/** The source of each entry: `tcp-sse/express`, `src/adapters/express.ts`. */
export function entrySources(): [entry: string, source: string][] {
  const { paths } = JSON.parse(read('tsconfig.json')).compilerOptions as {
    paths: Record<string, [string]>
  }
  return Object.entries(paths).map(([entry, [path]]) => [entry, path.slice(2)])
}

/** Every export of every entry. */
export function exportsOfReport(): Export[] {
  const entries = new Map(entrySources().map(([entry, source]) => [source, entry]))
  return read('docs/api-report.md')
    .split(/^## /m)
    .slice(1)
    .flatMap((section) => {
      const [path = '', ...lines] = section.split('\n')
      const entry = entries.get(path)
      if (entry === undefined) throw new Error(`${path} is no entry of tsconfig.json`)
      return exportsOf(entry, lines)
    })
}

function exportsOf(entry: string, lines: readonly string[]): Export[] {
  interface Found {
    readonly kind: string
    readonly type: string
    readonly lines: string[]
    readonly members: Map<string, string>
  }
  const found = new Map<string, Found>()
  for (const line of lines) {
    const [, kind = '', name = '', member, type = ''] = LINE.exec(line) ?? []
    if (name === '') continue
    const each: Found = found.get(name) ?? { kind, type, lines: [], members: new Map() }
    each.lines.push(line)
    if (member !== undefined) each.members.set(member, type)
    found.set(name, each)
  }
  return [...found].map(([name, each]) => ({ entry, name, ...each }))
}

/** The call signatures of a function, as the page has them: `drain(target: DrainTarget, options?: DrainOptions): …`. */
export function signaturesOf({ name, type }: Export): string[] {
  const source = ts.createSourceFile('report.ts', `type T = ${type}`, ts.ScriptTarget.Latest, true)
  const [alias] = source.statements
  const node = (alias as ts.TypeAliasDeclaration).type
  const signatures: readonly ts.SignatureDeclaration[] = ts.isTypeLiteralNode(node)
    ? node.members.filter(ts.isCallSignatureDeclaration)
    : ts.isFunctionTypeNode(node)
      ? [node]
      : []
  return signatures.map((each) => {
    const type = plain(each.type?.getText(source) ?? '')
    return `${name}(${each.parameters.map((one) => parameter(one, source)).join(', ')}): ${type}`
  })
}

function parameter(node: ts.ParameterDeclaration, source: ts.SourceFile): string {
  const text = plain(node.getText(source))
  return node.questionToken === undefined ? text : text.replace(/ \| undefined$/, '')
}

/** Without the type arguments that are a framework's defaults. */
const plain = (type: string): string => type.replace(/<(?:\w+, )?any, .*?(?:\{\}|>)>/, '')

/** Where the page defines an export. */
export interface Definition {
  readonly entry: string
  readonly name: string
  /** A heading, or a bold name at the beginning of a line. */
  readonly kind: 'heading' | 'bold'
  /** From the definition to the next one, without code. */
  readonly text: string
  /** From the heading to the next one, definitions of types included: the code marked `ts`, and `typescript`. */
  readonly examples: string
  readonly signatures: readonly string[]
}

/** The page, by headings. */
interface Section {
  readonly entry: string
  readonly level: number
  readonly title: string
  readonly prose: string[]
  readonly examples: string[]
  readonly signatures: string[]
}

const MAIN = 'tcp-sse'

export function sectionsOfPage(page: string): Section[] {
  const sections: Section[] = []
  /** A heading that names an entry is about it, with all headings below it. */
  let scope = { entry: MAIN, level: 0 }
  let fence: string | undefined
  for (const line of page.split('\n')) {
    const last = sections.at(-1)
    const [, mark] = /^```(\w*)/.exec(line) ?? []
    const [, hashes = '', title = ''] = (fence === undefined && /^(#+) (.+)$/.exec(line)) || []
    if (mark !== undefined) fence = fence === undefined ? mark : undefined
    else if (fence === 'ts') last?.examples.push(line)
    else if (fence === 'typescript') last?.signatures.push(line)
    else if (hashes !== '') {
      const level = hashes.length
      const [entry] = /tcp-sse\/\w+/.exec(title) ?? []
      if (entry !== undefined) scope = { entry, level }
      else if (level <= scope.level) scope = { entry: MAIN, level: 0 }
      sections.push({ entry: scope.entry, level, title, prose: [], examples: [], signatures: [] })
    } else last?.prose.push(line)
  }
  return sections
}

/** A heading of the third level or below that is a name: `### drain(target, options?)`, `### new MemoryHistory()`, `### Rig`. */
const NAMED = /^(?:new )?(\w+)(?:\(.*\))?$/
/** `**Delivered**`, `**NodeRequest**, **NodeResponse**: …`. */
const BOLD = /^(?:\*\*\w+\*\*(?:, )?)+/

export function definitionsOfPage(page: string): Definition[] {
  return sectionsOfPage(page).flatMap(({ entry, level, title, prose, ...code }) => {
    const [, heading] = (level > 2 && NAMED.exec(title)) || []
    const shared = { entry, examples: code.examples.join('\n'), signatures: code.signatures }
    const found: { names: string[]; kind: Definition['kind']; lines: string[] }[] = [
      { names: heading === undefined ? [] : [heading], kind: 'heading', lines: [] },
    ]
    for (const line of prose) {
      const [bold] = BOLD.exec(line) ?? []
      const names = [...(bold ?? '').matchAll(/\w+/g)].map(([name]) => name)
      if (bold !== undefined) found.push({ names, kind: 'bold', lines: [] })
      found.at(-1)?.lines.push(line)
    }
    return found.flatMap(({ names, kind, lines }) =>
      names.map((name) => ({ ...shared, name, kind, text: lines.join('\n') })),
    )
  })
}

/** What a definition describes: the names in the first cell of a row, and those before the colon of a list item. */
export function describedIn({ text }: Definition): string[] {
  const rows = [...text.matchAll(/^\| (`.*?) \|/gm)].map(([, cell = '']) => cell)
  const items = [...text.matchAll(/^- ((?:`[^`]+`(?:, )?)+):/gm)].map(([, names = '']) => names)
  return [...rows, ...items].flatMap((each) =>
    [...each.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name.replace(/\(.*\)$/, '')),
  )
}
