// Numbers of the sockets under watch, one row each: outside of the heap, where ten thousand of them cost the garbage
// collector nothing.
import type { Observation, Sight } from './verdict.js'

/** What a look has shown, and what has been made of it: `note` and `recall` have the same order. */
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
  'quiet',
  'waiting',
  'seenDestroyed',
] as const

const COLUMNS = [...OBSERVED, ...REMEMBERED]
/** NaN stands for `undefined` in these; in the others it is what the kernel does not tell. */
const OPTIONAL = new Set<string>([
  'silentSince',
  'limitedSince',
  'userTimeout',
  'notSentLowWater',
  'notSentLowWaterBefore',
])
const FLAGS = new Set<string>(['quiet', 'waiting', 'seenDestroyed'])

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

  /** Takes over an observation. Written out, as `recall` is: this is what a look costs. */
  note(observation: Observation): void {
    const { rowStart: start } = this
    numbers[start] = observation.at
    numbers[start + 1] = observation.state
    numbers[start + 2] = observation.unacked
    numbers[start + 3] = observation.unsent
    numbers[start + 4] = observation.retransmits
    numbers[start + 5] = observation.probes
    numbers[start + 6] = observation.lastAckReceived
    numbers[start + 7] = observation.lastDataReceived
    numbers[start + 8] = observation.lost
    numbers[start + 9] = observation.totalRetransmits
    numbers[start + 10] = observation.bytesAcked
    numbers[start + 11] = observation.windowLimited
    numbers[start + 12] = observation.silentSince ?? Number.NaN
  }

  /** The observation that was last noted, or `undefined` before the first. */
  recall(into: Sight): Sight | undefined {
    const { rowStart: start } = this
    const at = numbers[start] ?? Number.NaN
    if (Number.isNaN(at)) return undefined
    into.at = at
    into.state = numbers[start + 1] as number
    into.unacked = numbers[start + 2] as number
    into.unsent = numbers[start + 3] as number
    into.retransmits = numbers[start + 4] as number
    into.probes = numbers[start + 5] as number
    into.lastAckReceived = numbers[start + 6] as number
    into.lastDataReceived = numbers[start + 7] as number
    into.lost = numbers[start + 8] as number
    into.totalRetransmits = numbers[start + 9] as number
    into.bytesAcked = numbers[start + 10] as number
    into.windowLimited = numbers[start + 11] as number
    const silentSince = numbers[start + 12] as number
    into.silentSince = Number.isNaN(silentSince) ? undefined : silentSince
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
