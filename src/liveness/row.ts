// Numbers of the sockets under watch, one row each: outside of the heap, where ten thousand of them cost the garbage
// collector nothing.
import type { Observation } from './verdict.js'

/** What a look has shown, and what has been made of it. */
const OBSERVED = [
  'at',
  'state',
  'unacked',
  'unsent',
  'retransmits',
  'probes',
  'lastAckReceived',
  'lastDataReceived',
  'lost',
  'totalRetransmits',
  'bytesAcked',
  'windowLimited',
  'silentSince',
] as const satisfies readonly (keyof Observation)[]

/** What the monitor remembers of a socket. */
const REMEMBERED = [
  'nextLook',
  'deadline',
  'activity',
  'progressAt',
  'progress',
  'silenceBeforeClose',
  'unlimitedAt',
  'limitedSince',
  'userTimeout',
  'notSentLowWater',
  'notSentLowWaterBefore',
] as const

const COLUMNS = [...OBSERVED, ...REMEMBERED]
/** NaN stands for `undefined` in these; in the others it is what the kernel does not tell. */
const OPTIONAL = new Set<string>(['silentSince', ...REMEMBERED.slice(-4)])

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
  /** When bytes last moved, or nothing waited. */
  progressAt: number
  /** Only where the kernel tells nothing. */
  progress: number
  /** How long the peer had been silent at the last look before its end. */
  silenceBeforeClose: number
  /** The last look at which the peer's window had never held anything up; see `userTimeoutFor`. */
  unlimitedAt: number
  limitedSince: number | undefined
  /** TCP_USER_TIMEOUT, ms, as last set by a tick; `undefined` before the first. */
  userTimeout: number | undefined
  /** TCP_NOTSENT_LOWAT, bytes: what the watch has set, and what was in force before it did. */
  notSentLowWater: number | undefined
  notSentLowWaterBefore: number | undefined
}

/** One socket's row. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the accessors are made below, one for each column
export class Row {
  #start: number

  constructor() {
    this.#start = free.pop() ?? newRow()
    numbers.fill(Number.NaN, this.#start, this.#start + COLUMNS.length)
  }

  /** Where the row starts. */
  static start(row: Row): number {
    return row.#start
  }

  /** Takes over an observation. */
  note(observation: Observation): void {
    for (let i = 0; i < OBSERVED.length; i++) {
      const value = observation[OBSERVED[i] as keyof Observation]
      numbers[this.#start + i] = value ?? Number.NaN
    }
  }

  /** Gives the row to the next socket. From now on this one reads as empty and takes nothing. */
  giveBack(): void {
    if (this.#start !== NOWHERE) free.push(this.#start)
    this.#start = NOWHERE
  }
}

/** Beyond every array: reads there give `undefined`, and writes go nowhere. */
const NOWHERE = 2 ** 30

for (const [index, name] of COLUMNS.entries()) {
  const read = (row: Row): number => numbers[Row.start(row) + index] ?? Number.NaN
  const readOptional = (row: Row): number | undefined => {
    const value = read(row)
    return Number.isNaN(value) ? undefined : value
  }
  const get = OPTIONAL.has(name) ? readOptional : read
  Object.defineProperty(Row.prototype, name, {
    get(this: Row) {
      return get(this)
    },
    set(this: Row, value: number | undefined) {
      numbers[Row.start(this) + index] = value ?? Number.NaN
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
