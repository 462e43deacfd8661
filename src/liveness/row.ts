// The data of watched sockets, one row each: two readings, and values that are kept beside them.
import { Table } from '../tcp/record.js'
import { column, READING_WIDTH } from './reading.js'

/** Values that are kept beside the readings: properties of `Row`. */
const REMEMBERED = [
  'nextSample',
  'deadline',
  'activity',
  'handed',
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

/** The rows of all monitors in this copy of the library. */
export const table = new Table(2 * READING_WIDTH + REMEMBERED.length)

/** An index beyond every array: reads return NaN, writes do nothing. */
const NOWHERE = 2 ** 29

/** One socket's row, with the interface of an object. */
export class Row {
  /** The time of the next sample. */
  declare nextSample: number
  /** The latest time of the next sample, even if nothing happens on the connection. */
  declare deadline: number
  /** The kernel's `activity` at the last sample. */
  declare activity: number
  /** The kernel's `handed` at the last sample; NaN if the kernel reported no data. */
  declare handed: number
  /** The time at which bytes last moved or nothing waited, on the event loop's clock (see `Monitor`). */
  declare progressAt: number
  /** The kernel's `progress`, used only if the kernel reports no data. */
  declare progress: number
  /** How long the peer had been silent at the last sample before its end. */
  declare silenceBeforeClose: number
  /** See `KernelClocks`. */
  declare windowClearAt: number
  declare lossClearAt: number
  /** TCP_USER_TIMEOUT and TCP_RTO_MAX_MS in ms, as last set; NaN before. */
  declare userTimeout: number
  declare retransmitMax: number
  /** The time at which the monitor last requested a keepalive probe. */
  declare probedAt: number
  /** TCP_NOTSENT_LOWAT in bytes, as last set; NaN before. */
  declare notSentLowWater: number
  /** Whether nothing was outstanding at the last sample. */
  declare quiet: boolean
  /** Whether bytes waited at the last sample, in user space or in the kernel. */
  declare waiting: boolean
  /** Whether a tick has found the socket destroyed. */
  declare seenDestroyed: boolean

  /** Twice the start of the row, plus 1 if the latest reading is the second: one field for both. */
  #place = 2 * table.allocate()

  /** The start of the row. */
  get rowStart(): number {
    return this.#place >> 1
  }

  /** The start of the latest reading. */
  get current(): number {
    return (this.#place >> 1) + (this.#place & 1) * READING_WIDTH
  }

  /** The start of the reading before the latest, which the next sample overwrites. */
  get spare(): number {
    return (this.#place >> 1) + (~this.#place & 1) * READING_WIDTH
  }

  /** Makes the reading in `spare` the latest one. */
  protected swap(): void {
    this.#place ^= 1
  }

  /** Whether a sample has had data from the kernel. */
  get observed(): boolean {
    return !Number.isNaN(table.get(this.current, column.at))
  }

  /** Whether the socket is watched. */
  get held(): boolean {
    return this.rowStart !== NOWHERE
  }

  /** Frees the row for another socket. From then on, this object reads as empty and ignores writes. */
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
