// State of the process, shared by all copies of this library in it: ESM and CommonJS, external and bundled.
//
// Copies of one version find each other's state and objects. Another version may give them another meaning, so its
// state is
// separate, and a warning says that two versions are loaded.

/** The version in package.json. A test compares the two. */
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
    `tcp-sse ${versions} are loaded in one process. drain, metrics and channels of one version do not see the streams of another. Install a single version.`,
    { code: 'TCP_SSE_TWO_VERSIONS' },
  )
}

/** Returns the value that all copies of this version share under `name`; the first copy creates it. */
export function shared<T>(name: string, make: () => T): T {
  if (!mine.has(name)) mine.set(name, make())
  return mine.get(name) as T
}

/**
 * Marks a class so that every copy of this version recognizes its instances. `instanceof` knows those of one copy only.
 */
export function brand(type: { readonly prototype: object }, name: string): void {
  Object.defineProperty(type.prototype, brandOf(name), { value: VERSION })
}

/** Whether a value is an instance of a branded class, created by any copy of this version. */
export function isBranded(value: unknown, name: string): boolean {
  return versionOf(value, name) === VERSION
}

/** The version of the library that created this instance; `undefined` for any other value. */
export function versionOf(value: unknown, name: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  return (value as Record<symbol, string | undefined>)[brandOf(name)]
}

function brandOf(name: string): symbol {
  return Symbol.for(`tcp-sse.${name}`)
}
