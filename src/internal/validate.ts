// Checks of options. Each option has one row in a table. An unknown name is rejected with the nearest known one, so
// that a misspelled option such as `detectwithin` is never silently ignored.
import { TcpSseError } from './errors.js'

/**
 * A check takes a value and its full name. It returns the value or throws.
 *
 * @param or - what else is allowed, for the end of a message
 */
export type Check<T> = (value: unknown, name: string, or?: string) => T

/** A table of options, with one check for each name. */
export type Checks<T> = { [K in keyof T]-?: Check<Exclude<T[K], undefined>> }

/**
 * Checks an options object against its table. `undefined` values count as absent.
 *
 * @throws {TcpSseError} `ERR_OPTION_TYPE`, `ERR_OPTION_UNKNOWN`, or what a check throws
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

/** A duration in milliseconds, at least 1 by default. The upper limit is the longest delay of a Node timer. */
export function duration(limits: { min?: number; max?: number } = {}): Check<number> {
  return number('milliseconds', { min: 1, max: MAX_TIMER, ...limits })
}

/** Accepts any value; later code checks it. */
export const pass: Check<never> = (value) => value as never

/** `false` to switch the option off, or a value that `check` accepts. */
export function orFalse<T>(check: Check<T>): Check<T | false> {
  return (value, name) => (value === false ? false : check(value, name, ', or false'))
}

/** A whole number within limits. */
export function integer(unit: string, limits: { min: number; max: number }): Check<number> {
  const inRange = number(unit, limits)
  return (value, name, or = '') => {
    const given = inRange(value, name, or)
    if (!Number.isInteger(given)) throw wrongValue(name, `a whole number of ${unit}${or}`, given)
    return given
  }
}

/** `true` or `false`. */
export const boolean: Check<boolean> = (value, name) => {
  if (typeof value !== 'boolean') throw wrongType(name, 'true or false', value)
  return value
}

/** One of a list of strings. */
export function oneOf<const T extends string>(words: readonly T[]): Check<T> {
  return (value, name) => {
    const word = words.find((candidate) => candidate === value)
    if (word !== undefined) return word
    const expected = `one of ${words.map((each) => `'${each}'`).join(', ')}`
    throw typeof value === 'string'
      ? wrongValue(name, expected, value)
      : wrongType(name, expected, value)
  }
}

/** Any string. */
export const string: Check<string> = (value, name) => {
  if (typeof value !== 'string') throw wrongType(name, 'a string', value)
  return value
}

/** A TCP port. */
export const tcpPort: Check<number> = (value, name) => {
  if (typeof value !== 'number') throw wrongType(name, 'a TCP port', value)
  if (Number.isInteger(value) && value >= 1 && value <= 65_535) return value
  throw wrongValue(name, 'a TCP port, 1 to 65535', value)
}

/** Any function. */
export function callable<T>(): Check<T> {
  return (value, name) => {
    if (typeof value !== 'function') throw wrongType(name, 'a function', value)
    return value as T
  }
}

/** A nested options object with its own table. */
export function nested<T extends object>(checks: Checks<T>): Check<T> {
  return (value, name, or) => checkOptions(object(value, name, or), checks, name)
}

/** An AbortSignal, recognized by its shape, so that one of another realm is accepted too. */
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

/** The error for a value of the wrong type. */
export function wrongType(name: string, expected: string, value: unknown): TcpSseError {
  return new TcpSseError('ERR_OPTION_TYPE', `${name} must be ${expected}, not ${show(value)}`, {
    option: name,
  })
}

/** The longest delay of a Node timer, in milliseconds. */
const MAX_TIMER = 2 ** 31 - 1

function number(unit: string, { min, max }: { min: number; max: number }): Check<number> {
  return (value, name, or = '') => {
    if (typeof value !== 'number') throw wrongType(name, `a number of ${unit}${or}`, value)
    const isInRange = value >= min && value <= max
    if (!isInRange) throw wrongValue(name, `${min} to ${max} ${unit}${or}`, value)
    return value
  }
}

function object(value: unknown, name: string, or = ''): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrongType(name, `an object${or}`, value)
  }
  return value as Record<string, unknown>
}

/** The error for a value out of range. */
export function wrongValue(name: string, expected: string, value: unknown): TcpSseError {
  return new TcpSseError('ERR_OPTION_VALUE', `${name} must be ${expected}, not ${show(value)}`, {
    option: name,
  })
}

function unknownOption(name: string, known: string[], where: string): TcpSseError {
  const near = nearest(name, known)
  const hint =
    near === undefined ? `Known options: ${known.sort().join(', ')}.` : `Did you mean '${near}'?`
  return new TcpSseError('ERR_OPTION_UNKNOWN', `${where} has no option '${name}'. ${hint}`, {
    option: `${where}.${name}`,
  })
}

/** The known name with the fewest edits, if these are few enough for a misspelling. */
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

/** The Levenshtein distance, computed row by row. */
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
