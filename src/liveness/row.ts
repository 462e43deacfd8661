// What the monitor keeps of the sockets under watch, one row each: two readings, and what is remembered beside them.
import { Table } from '../tcp/record.js'
import { column, READING_WIDTH } from './reading.js'

/** What is remembered beside the readings: properties of `Row`. */
const REMEMBERED = [
  'nextSample',
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
  'quiet',
  'waiting',
  'seenDestroyed',
] as const satisfies readonly (keyof Row)[]

const FLAGS = new Set<string>(['quiet', 'waiting', 'seenDestroyed'])

/** The rows of all monitors of this copy of the library. */
export const table = new Table(2 * READING_WIDTH + REMEMBERED.length)

/** Beyond every array: reads there give NaN, and writes go nowhere. */
const NOWHERE = 2 ** 29

/** One socket's row, which reads like an object. */
export class Row {
  /** When the next look is due. */
  declare nextSample: number
  /** The time of the next look, whatever happens on the connection. */
  declare deadline: number
  /** What the kernel's `activity` said at the last look. */
  declare activity: number
  /** When bytes last moved, or nothing waited; on the event loop's clock (see `Monitor`). */
  declare progressAt: number
  /** Only where the kernel tells nothing. */
  declare progress: number
  /** How long the peer had been silent at the last look before its end. */
  declare silenceBeforeClose: number
  /** See `KernelClocks`. */
  declare windowClearAt: number
  declare lossClearAt: number
  /** TCP_USER_TIMEOUT and TCP_RTO_MAX_MS, ms, as last set; NaN before that. */
  declare userTimeout: number
  declare retransmitMax: number
  /** When the monitor last asked for a keepalive probe. */
  declare probedAt: number
  /** TCP_NOTSENT_LOWAT, bytes, as last set; NaN before that. */
  declare notSentLowWater: number
  /** Whether nothing was outstanding at the last look. */
  declare quiet: boolean
  /** Whether bytes waited at the last look, here or in the kernel. */
  declare waiting: boolean
  /** Whether a tick has found the socket destroyed. */
  declare seenDestroyed: boolean

  /** Twice where the row starts, and 1 where the latest reading is the second: one field for both. */
  #place = 2 * table.allocate()

  /** Where the row starts. */
  get rowStart(): number {
    return this.#place >> 1
  }

  /** Where the latest reading is. */
  get current(): number {
    return (this.#place >> 1) + (this.#place & 1) * READING_WIDTH
  }

  /** Where the next look is to be written: the place of the one before the latest. */
  get spare(): number {
    return (this.#place >> 1) + (~this.#place & 1) * READING_WIDTH
  }

  /** Makes what is in `spare` the latest reading. */
  protected swap(): void {
    this.#place ^= 1
  }

  /** Whether there was a look of which the kernel told something. */
  get observed(): boolean {
    return !Number.isNaN(table.get(this.current, column.at))
  }

  /** Whether the socket is under watch. */
  get held(): boolean {
    return this.rowStart !== NOWHERE
  }

  /** Gives the row to the next socket. From now on this one reads as empty and takes nothing. */
  freeRow(): void {
    if (this.held) table.release(this.rowStart)
    this.#place = 2 * NOWHERE
  }
}

for (const [index, name] of REMEMBERED.entries()) {
  const at = 2 * READING_WIDTH + index
  const read = (row: Row): number => table.get(row.rowStart, at)
  const readFlag = (row: Row): boolean => read(row) === 1
  const get = FLAGS.has(name) ? readFlag : read
  Object.defineProperty(Row.prototype, name, {
    get(this: Row) {
      return get(this)
    },
    set(this: Row, value: number | boolean) {
      table.set(this.rowStart, at, Number(value))
    },
  })
}
