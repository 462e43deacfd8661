// State of the process, for all copies of this library in it: as ESM and as CommonJS, external and in a bundle.
//
// Copies of one version find each other's state and objects. Those of another version may mean something else by them, so
// they are kept apart, and a warning says that there are two.

/** That of package.json: a test compares them. */
export const VERSION = '0.1.0'

const COPIES = Symbol.for('tcp-sse.copies')

type Copies = Map<string, Map<string, unknown>>

const holder = globalThis as { [COPIES]?: Copies }
const copies: Copies = holder[COPIES] ?? new Map()
holder[COPIES] = copies
const mine = copies.get(VERSION) ?? new Map<string, unknown>()
copies.set(VERSION, mine)
if (copies.size > 1) {
  const versions = [...copies.keys()].join(' and ')
  process.emitWarning(
    `tcp-sse ${versions} are loaded into one process: drain, metrics and channels of one do not know the streams of the other.`,
    { code: 'TCP_SSE_TWO_VERSIONS' },
  )
}

/** What all copies of this version share under a name; the first one makes it. */
export function shared<T>(name: string, make: () => T): T {
  if (!mine.has(name)) mine.set(name, make())
  return mine.get(name) as T
}

/** Has the instances of a class recognized by every copy of this version; `instanceof` knows those of one copy. */
export function brand(type: { readonly prototype: object }, name: string): void {
  Object.defineProperty(type.prototype, brandOf(name), { value: VERSION })
}

/** Whether this is an instance of the class that was branded so, whichever copy has made it. */
export function isBranded(value: unknown, name: string): boolean {
  return versionOf(value, name) === VERSION
}

/** The version of the library whose instance this is; `undefined` for anything else. */
export function versionOf(value: unknown, name: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  return (value as Record<symbol, string | undefined>)[brandOf(name)]
}

function brandOf(name: string): symbol {
  return Symbol.for(`tcp-sse.${name}`)
}
