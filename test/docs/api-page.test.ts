// docs/api.md is whole: what docs/api-report.md lists is described there, and nothing else is.
//
// An export is defined by a heading below a topic (`### drain(target, options?)`) or by its name in bold at the beginning of a
// line; what is an object at run time has a heading. The names in the first column of the tables below, and at the
// beginning of list items, are its members.
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  type Definition,
  definitionsOfPage,
  describedIn,
  type Export,
  entrySources,
  exportsOfReport,
  sectionsOfPage,
  signaturesOf,
} from './reference.js'
import { anchorOf, read, root } from './snippets.js'

const page = read('docs/api.md')
const definitions = definitionsOfPage(page)
const exported = exportsOfReport()
const keyOf = ({ entry, name }: { entry: string; name: string }): string => `${entry}: ${name}`
const byKey = new Map(exported.map((each) => [keyOf(each), each]))
const definitionOf = (each: Export): Definition | undefined =>
  definitions.find((definition) => keyOf(definition) === keyOf(each))

/** What a definition says that it extends: the page describes these members there. */
function basesOf(definition: Definition, each: Export): Export[] {
  const names = [...definition.text.matchAll(/[Ee]xtends `(\w+)`/g)].map(([, name = '']) => name)
  return names.map((name) => {
    const base = byKey.get(`${each.entry}: ${name}`) ?? byKey.get(`tcp-sse: ${name}`)
    if (base === undefined) throw new Error(`${each.name} extends ${name}, which is not exported`)
    return base
  })
}

const literalsIn = (type: string): string[] =>
  [...type.matchAll(/"([^"]+)"/g)].map(([, text = '']) => text)

/** The main entry's types of hubs are exported by other entries, too, which only have to name them. */
function isReexport(each: Export): boolean {
  const main = byKey.get(`tcp-sse: ${each.name}`)
  if (each.entry === 'tcp-sse' || main === undefined) return false
  const named = sectionsOfPage(page)
    .filter(({ entry }) => entry === each.entry)
    .some(({ prose }) => prose.join('\n').includes(`\`${each.name}\``))
  return named && main.lines.join('\n') === each.lines.join('\n')
}

describe('docs/api.md', () => {
  it('is read, and so is the report', () => {
    expect(exported.length).toBeGreaterThan(150)
    expect(definitions.length).toBeGreaterThan(130)
  })

  it('defines each export, under its entry', () => {
    const missing = exported.filter((each) => definitionOf(each) === undefined && !isReexport(each))
    expect(missing.map(keyOf)).toEqual([])
  })

  it('defines nothing else, and nothing twice', () => {
    const keys = definitions.map(keyOf)
    expect(keys.filter((key) => !byKey.has(key))).toEqual([])
    expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([])
  })

  it('describes each member and option of an export', () => {
    const missing = exported.flatMap((each) => {
      const definition = definitionOf(each)
      if (definition === undefined) return []
      const bases = basesOf(definition, each)
      const own = new Set(describedIn(definition))
      return [...each.members]
        .filter(([name]) => !own.has(name))
        .filter(([name, type]) => !bases.some(({ members }) => members.get(name) === type))
        .map(([name]) => `${keyOf(each)}.${name}`)
    })
    expect(missing).toEqual([])
  })

  it('describes no member that does not exist', () => {
    const stale = definitions.flatMap((definition) => {
      const { members = new Map(), type = '', kind } = byKey.get(keyOf(definition)) ?? {}
      const words = kind === 'type' ? literalsIn(type) : []
      const known = new Set([...members.keys(), ...words, ...words.map((word) => `'${word}'`)])
      return describedIn(definition)
        .filter((name) => !known.has(name))
        .map((name) => `${keyOf(definition)}.${name}`)
    })
    expect(stale).toEqual([])
  })

  it('has each word that a type or a member can be, or the name of the type that has it', () => {
    const missing = exported.flatMap((each) => {
      const definition = definitionOf(each)
      if (definition === undefined) return []
      const text = definition.text.replace(/\s+/g, ' ')
      const inherited = basesOf(definition, each).flatMap(({ members }) => [...members.values()])
      const types = [each.type, ...each.members.values()].filter(
        (type) => !inherited.includes(type) && each.kind !== 'function',
      )
      const named = exported.filter(
        ({ kind, name }) => kind === 'type' && text.includes(`\`${name}\``),
      )
      const elsewhere = new Set(named.flatMap(({ type }) => literalsIn(type)))
      return types
        .flatMap(literalsIn)
        .filter((word) => !text.includes(`'${word}'`) && !text.includes(`\`${word}\``))
        .filter((word) => !elsewhere.has(word))
        .map((word) => `${keyOf(each)}: ${word}`)
    })
    expect([...new Set(missing)]).toEqual([])
  })

  it('has the signature of each function', () => {
    const wrong = exported
      .filter(({ kind }) => kind === 'function')
      .filter((each) => {
        const text = definitionOf(each)?.signatures.join(' ').replace(/\s+/g, ' ')
        return text !== signaturesOf(each).join(' ')
      })
    expect(wrong.map((each) => signaturesOf(each).join('\n'))).toEqual([])
  })

  it('has a heading and an example for each export that exists at run time', async () => {
    const without: string[] = []
    for (const [entry, source] of entrySources()) {
      for (const name of Object.keys(await import(join(root, source)))) {
        const { kind } = byKey.get(`${entry}: ${name}`) as Export
        const { examples = '', ...definition } =
          definitionOf({ entry, name } as Export) ?? ({} as Partial<Definition>)
        const used = new RegExp(`\\b${name}\\b${kind === 'function' ? '(?:<.*>)?\\(' : ''}`)
        const code = examples.replace(/^import .*$/gm, '')
        if (definition.kind !== 'heading' || !used.test(code)) without.push(`${entry}: ${name}`)
      }
    }
    expect(without).toEqual([])
  }, 180_000)

  it('names each error code, and no other', () => {
    const codes = literalsIn(byKey.get('tcp-sse: ErrorCode')?.type ?? '')
    const named = [...page.matchAll(/\b(?:ERR_[A-Z_]+\*?|ABORT_ERR)/g)].map(([code]) => code)
    const isKnown = (code: string): boolean =>
      code.endsWith('*')
        ? codes.some((each) => each.startsWith(code.slice(0, -1)))
        : codes.includes(code)
    expect(codes.length).toBeGreaterThan(20)
    expect(named.filter((code) => !isKnown(code))).toEqual([])
    expect(codes.filter((code) => !named.includes(code))).toEqual([])
  })

  it('lists its sections at the top', () => {
    const titles = sectionsOfPage(page).filter(({ level }) => level === 2 || level === 3)
    const anchors = titles.map(({ title }) => anchorOf(title))
    const [contents = ''] = page.split(/^## /m)
    expect([...contents.matchAll(/\(#([^)]+)\)/g)].map(([, anchor]) => anchor)).toEqual(anchors)
  })
})
