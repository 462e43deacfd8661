// Numbers of the sockets under watch, one row each: outside of the heap, where ten thousand of them cost the garbage
// collector nothing.
import { OBSERVED, type Observation, type Sight } from './observation.js'

/** What the monitor remembers of a socket. */
const REMEMBERED = [
  'nextLook',
  'deadline',
  'activity',
  'progressAt',
  'progress',
  'silenceBeforeClose',
  'windowClearAt',
  'lossClearAt',
  'userTimeout',
  'retransmitMax',
  'probedAt',
  'notSentLowWater',
  'notSentLowWaterBefore',
  'quiet',
  'waiting',
  'seenDestroyed',
] as const

const COLUMNS = [...OBSERVED, ...REMEMBERED]
/** NaN stands for `undefined` in these; in the others it is what the kernel does not tell. */
const OPTIONAL = new Set<string>([
  'provedAt',
  'userTimeout',
  'notSentLowWater',
  'notSentLowWaterBefore',
])
const FLAGS = new Set<string>(['quiet', 'waiting', 'seenDestroyed'])
const AT = OBSERVED.indexOf('at')

let numbers = new Float64Array(64 * COLUMNS.length)
let used = 0
const free: number[] = []

/** A row that reads like an object. */
export interface Row extends Observation {
  /** When the next look is due. */
  nextLook: number
  /** The time of the next look, whatever happens on the connection. */
  deadline: number
  /** What the kernel's `activity` said at the last look. */
  activity: number
  /** When bytes last moved, or nothing waited; on the event loop's clock (see `Monitor`). */
  progressAt: number
  /** Only where the kernel tells nothing. */
  progress: number
  /** How long the peer had been silent at the last look before its end. */
  silenceBeforeClose: number
  /** See `KernelClocks`. */
  windowClearAt: number
  lossClearAt: number
  /** TCP_USER_TIMEOUT, ms, as last set by a tick; `undefined` before the first. */
  userTimeout: number | undefined
  /** TCP_RTO_MAX_MS, ms, as last set. */
  retransmitMax: number
  /** When the monitor last asked for a keepalive probe. */
  probedAt: number
  /** TCP_NOTSENT_LOWAT, bytes: what the watch has set, and what was in force before it did. */
  notSentLowWater: number | undefined
  notSentLowWaterBefore: number | undefined
  /** Whether nothing was outstanding at the last look. */
  quiet: boolean
  /** Whether bytes waited at the last look, here or in the kernel. */
  waiting: boolean
  /** Whether a tick has found the socket destroyed. */
  seenDestroyed: boolean
}

/** One socket's row. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the accessors are made below, one for each column
export class Row {
  /** Where the row starts. Not private: the accessors read it at every use. */
  rowStart: number

  constructor() {
    this.rowStart = free.pop() ?? newRow()
    numbers.fill(Number.NaN, this.rowStart, this.rowStart + COLUMNS.length)
  }

  /** Takes over an observation. */
  note(observation: Observation): void {
    let at = this.rowStart
    for (const field of OBSERVED) numbers[at++] = observation[field] as number
  }

  /** The observation that was last noted, or `undefined` before the first. */
  recall(into: Sight): Sight | undefined {
    let at = this.rowStart
    if (Number.isNaN(numbers[at + AT] ?? Number.NaN)) return undefined
    for (const field of OBSERVED) into[field] = numbers[at++] as number
    if (Number.isNaN(into.provedAt)) into.provedAt = undefined
    return into
  }

  /** Gives the row to the next socket. From now on this one reads as empty and takes nothing. */
  giveBack(): void {
    if (this.rowStart !== NOWHERE) free.push(this.rowStart)
    this.rowStart = NOWHERE
  }
}

/** Beyond every array: reads there give `undefined`, and writes go nowhere. */
const NOWHERE = 2 ** 30

for (const [index, name] of COLUMNS.entries()) {
  const read = (row: Row): number => numbers[row.rowStart + index] ?? Number.NaN
  const readOptional = (row: Row): number | undefined => {
    const value = read(row)
    return Number.isNaN(value) ? undefined : value
  }
  const readFlag = (row: Row): boolean => read(row) === 1
  const get = FLAGS.has(name) ? readFlag : OPTIONAL.has(name) ? readOptional : read
  Object.defineProperty(Row.prototype, name, {
    get(this: Row) {
      return get(this)
    },
    set(this: Row, value: number | boolean | undefined) {
      numbers[this.rowStart + index] = Number(value)
    },
  })
}

function newRow(): number {
  const start = used
  used += COLUMNS.length
  if (used > numbers.length) {
    const larger = new Float64Array(numbers.length * 2)
    larger.set(numbers)
    numbers = larger
  }
  return start
}
