// Checks of what callers pass. One table row per option; unknown names are refused with the nearest
// right one, so that `detectwithin` is never silently ignored.
import { TcpSseError } from './errors.js'

/** A check takes the value and its full name, and returns the value or throws. */
export type Check<T> = (value: unknown, name: string) => T

/** A table of options: one check for each name. */
export type Checks<T> = { [K in keyof T]-?: Check<Exclude<T[K], undefined>> }

/**
 * Checks an options object against its table. `undefined` values count as absent.
 *
 * @throws {TcpSseError} `ERR_OPTION_TYPE`, `ERR_OPTION_UNKNOWN`, or what a row's check throws
 */
export function checkOptions<T extends object>(
  value: unknown,
  checks: Checks<T>,
  where: string,
): T {
  const options = object(value, where)
  const checked: Record<string, unknown> = {}
  for (const name of Object.keys(options)) {
    const check = Object.hasOwn(checks, name) ? checks[name as keyof T] : undefined
    if (check === undefined) throw unknownOption(name, Object.keys(checks), where)
    const given = options[name]
    if (given !== undefined) checked[name] = (check as Check<unknown>)(given, `${where}.${name}`)
  }
  return checked as T
}

/** A duration in milliseconds. Whatever would become 0 in the kernel's unit is refused. */
export function duration(limits: { min?: number; max?: number } = {}): Check<number> {
  return number('milliseconds', { min: 1, max: MAX_TIMER, ...limits })
}

/** Passed on, to somebody who checks it. */
export const pass: Check<never> = (value) => value as never

/** `false` for off, or what `check` takes. */
export function orFalse<T>(check: Check<T>): Check<T | false> {
  return (value, name) => (value === false ? false : check(value, name))
}

/** A whole number of something. */
export function integer(unit: string, limits: { min: number; max: number }): Check<number> {
  const inRange = number(unit, limits)
  return (value, name) => {
    const given = inRange(value, name)
    if (!Number.isInteger(given)) throw bad(name, `a whole number of ${unit}`, given)
    return given
  }
}

/** `true` or `false`. */
export const boolean: Check<boolean> = (value, name) => {
  if (typeof value !== 'boolean') throw wrongType(name, 'true or false', value)
  return value
}

/** One of a list of words. */
export function oneOf<const T extends string>(words: readonly T[]): Check<T> {
  return (value, name) => {
    const word = words.find((candidate) => candidate === value)
    if (word !== undefined) return word
    const expected = `one of ${words.map((each) => `'${each}'`).join(', ')}`
    throw typeof value === 'string' ? bad(name, expected, value) : wrongType(name, expected, value)
  }
}

/** A function, taken as it is. */
export function callable<T>(): Check<T> {
  return (value, name) => {
    if (typeof value !== 'function') throw wrongType(name, 'a function', value)
    return value as T
  }
}

/** A nested options object with its own table. */
export function nested<T extends object>(checks: Checks<T>): Check<T> {
  return (value, name) => checkOptions(value, checks, name)
}

/** An AbortSignal, told by its shape so that one of another realm will do. */
export const abortSignal: Check<AbortSignal> = (value, name) => {
  const signal = value as AbortSignal | null
  const fits =
    typeof signal === 'object' &&
    signal !== null &&
    typeof signal.aborted === 'boolean' &&
    typeof signal.addEventListener === 'function'
  if (!fits) {
    throw wrongType(name, 'an AbortSignal', value)
  }
  return signal
}

/** A value of the wrong type. */
export function wrongType(name: string, expected: string, value: unknown): TcpSseError {
  return new TcpSseError('ERR_OPTION_TYPE', `${name} must be ${expected}, not ${show(value)}`, {
    option: name,
  })
}

/** The longest delay that a Node timer takes. */
const MAX_TIMER = 2 ** 31 - 1

function number(unit: string, { min, max }: { min: number; max: number }): Check<number> {
  return (value, name) => {
    if (typeof value !== 'number') throw wrongType(name, `a number of ${unit}`, value)
    if (!(value >= min && value <= max)) throw bad(name, `${min} to ${max} ${unit}`, value)
    return value
  }
}

function object(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrongType(name, 'an object', value)
  }
  return value as Record<string, unknown>
}

function bad(name: string, expected: string, value: unknown): TcpSseError {
  return new TcpSseError('ERR_OPTION_VALUE', `${name} must be ${expected}, not ${show(value)}`, {
    option: name,
  })
}

function unknownOption(name: string, known: string[], where: string): TcpSseError {
  const near = nearest(name, known)
  const hint =
    near === undefined ? `There are: ${known.sort().join(', ')}.` : `Did you mean '${near}'?`
  return new TcpSseError('ERR_OPTION_UNKNOWN', `${where} has no option '${name}'. ${hint}`, {
    option: `${where}.${name}`,
  })
}

/** The known name that is few enough edits away to be what was meant. */
function nearest(name: string, known: string[]): string | undefined {
  const wanted = name.toLowerCase()
  let best: string | undefined
  let fewest = Math.max(2, Math.floor(wanted.length / 3)) + 1
  for (const candidate of known) {
    const edits = editDistance(wanted, candidate.toLowerCase())
    if (edits < fewest) {
      fewest = edits
      best = candidate
    }
  }
  return best
}

/** Levenshtein's distance, row by row. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution))
    }
    row = next
  }
  return row[b.length] ?? 0
}

function show(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`
  if (typeof value === 'function') return 'a function'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object' && value !== null) return 'an object'
  return String(value)
}
