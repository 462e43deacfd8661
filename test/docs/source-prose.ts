// The prose of a source file: its comments and the texts that it shows. Everything else is blanked, and every line stays
// where it is.
import ts from 'typescript'

/** A part of the file, from one position up to another. */
type Range = readonly [from: number, to: number]

/** Takes out what is not prose; every line stays where it is. */
export const blank = (code: string): string => code.replace(/[^\n]/g, '\0')

/** The comments of a file in TypeScript, C++ or C, its templates and its string literals of several words. */
export function proseOfSource(file: string, text: string): string {
  const ranges = file.endsWith('.ts') ? rangesOfTypeScript(text) : rangesOfC(text)
  let prose = ''
  let end = 0
  for (const [from, to] of ranges) {
    prose += blank(text.slice(end, from)) + readable(text.slice(from, to))
    end = to
  }
  return prose + blank(text.slice(end))
}

/** Blanks the marks of a comment, which would stand between two words, and code in backquotes. */
function readable(part: string): string {
  const isComment = /^\s*\/[/*]/.test(part)
  if (!isComment) return part
  return part
    .replace(/^\s*(?:\/\/+|\/\*+|\*+\/|\*)/gm, (mark) => mark.replace(/[/*]/g, ' '))
    .replace(/`[^`]*`/g, blank)
}

function rangesOfTypeScript(text: string): Range[] {
  const source = ts.createSourceFile('source.ts', text, ts.ScriptTarget.Latest, true)
  const ranges: Range[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isJSDoc(node)) return
    const parts = node.getChildren(source).filter((child) => !ts.isJSDoc(child))
    for (const part of parts) visit(part)
    if (parts.length > 0) return
    // Between two tokens are comments and spaces.
    const start = node.getStart(source)
    if (text.slice(node.pos, start).trim() !== '') ranges.push([node.pos, start])
    if (isText(node, source)) ranges.push([start + 1, node.end - 1])
  }
  visit(source)
  return ranges
}

function isText(node: ts.Node, source: ts.SourceFile): boolean {
  if (ts.isTemplateLiteralToken(node)) return true
  return ts.isStringLiteral(node) && node.getText(source).includes(' ')
}

/** Character literals are matched so that a quote in one does not begin a string. */
const PARTS_OF_C =
  /\/\/[^\n]*(?:\n\s*\/\/[^\n]*)*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'/g

function rangesOfC(text: string): Range[] {
  return [...text.matchAll(PARTS_OF_C)].flatMap(({ 0: part, index }): Range[] => {
    const isComment = part.startsWith('/')
    if (!isComment && !(part.startsWith('"') && part.includes(' '))) return []
    return [[index, index + part.length]]
  })
}
