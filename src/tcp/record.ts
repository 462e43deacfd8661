// The record of a TCP_INFO reading: its columns, and tables of records.
import type { Socket } from 'node:net'
import { addon, fdOf } from '../native/binding.js'

/**
 * The columns in the order in which native/tcp_linux.cc writes them. Times are in milliseconds. NaN stands for a value
 * that this kernel or this kind of socket does not report. A new column needs a line there, one here, and a new ABI
 * number.
 */
export const COLUMNS = [
  'errno', // 0, or the errno of TCP_INFO
  'outq', // Bytes that the peer's kernel has not acknowledged, sent or not
  'state', // TCP state, as the kernel's number
  'congestionState', // tcp_ca_state, as the kernel's number
  'retransmits', // Consecutive timeouts without an ACK of new data
  'probes', // Consecutive keepalive or window probes without an answer
  'backoff', // How often the current timeout has been doubled
  'rto', // The current retransmission timeout, backed off
  'unackedSegments', // Segments in flight
  'lost', // Segments currently considered lost
  'lastDataSent', // Time since data was last sent, including retransmits
  'lastDataReceived', // Time since data last arrived from the peer
  'lastAckReceived', // Time since the last ACK
  'rtt', // Smoothed round-trip time (RFC 6298)
  'rttVariation', // Mean deviation of the round-trip time
  'congestionWindow', // Congestion window, segments
  'totalRetransmits', // Segments retransmitted during the life of the connection
  'bytesAcked', // Bytes acknowledged during the life of the connection
  'bytesReceived', // Bytes received during the life of the connection
  'unsent', // Bytes in the kernel that have not been sent
  'minRtt', // The shortest recent round-trip time
  'dataSegmentsSent', // Segments with data sent during the life of the connection, including retransmits
  'deliveryRate', // Bytes per second, the latest measurement
  'windowLimited', // Time for which the peer's window limited sending, during the life of the connection
  'reportedDuplicates', // Segments that the peer reported as received before (DSACK), during the life of the connection
  'sendWindow', // The window that the peer advertises, bytes
] as const

/** Indices of columns. */
export type Columns<Name extends string> = Readonly<Record<Name, number>>

/** Returns the index of each column of a record. */
export function columnsOf<Name extends string>(names: readonly Name[]): Columns<Name> {
  const numbered = names.map((name, index) => [name, index])
  return Object.freeze(Object.fromEntries(numbered)) as Columns<Name>
}

/** The index of each column of `COLUMNS` in a record. */
export const column = columnsOf(COLUMNS)

/** Rows of numbers in one array outside the heap, so that ten thousand of them cost the garbage collector nothing. */
export class Table {
  /** The whole array. `allocate` may replace it. */
  numbers: Float64Array
  readonly #width: number
  #used = 0
  readonly #free: number[] = []

  constructor(width: number, rows = 64) {
    this.#width = width
    this.numbers = new Float64Array(rows * width)
  }

  /** Allocates a row, filled with NaN, and returns its start. */
  allocate(): number {
    const start = this.#free.pop() ?? this.#grow()
    this.numbers.fill(Number.NaN, start, start + this.#width)
    return start
  }

  /** Frees a row. */
  release(start: number): void {
    this.#free.push(start)
  }

  /** The number in a column of the record or row that begins at `start`; NaN outside the table. */
  get(start: number, column: number): number {
    return this.numbers[start + column] ?? Number.NaN
  }

  /** Writes a number. Does nothing outside the table. */
  set(start: number, column: number, value: number): void {
    this.numbers[start + column] = value
  }

  #grow(): number {
    const start = this.#used
    this.#used += this.#width
    if (this.#used > this.numbers.length) {
      const larger = new Float64Array(this.numbers.length * 2)
      larger.set(this.numbers)
      this.numbers = larger
    }
    return start
  }
}

let fds = new Int32Array(64)
let places = new Int32Array(64)

/**
 * Reads all sockets with one native call and writes each record at its index in `starts`. Without the addon, writes
 * nothing.
 */
export function readInto(
  table: Table,
  starts: readonly number[],
  sockets: readonly Socket[],
): void {
  if (addon === undefined) return
  const count = sockets.length
  if (fds.length < count) {
    fds = new Int32Array(count * 2)
    places = new Int32Array(count * 2)
  }
  for (let i = 0; i < count; i++) {
    fds[i] = fdOf(sockets[i] as Socket)
    places[i] = starts[i] as number
  }
  addon.inspectMany(fds, places, count, table.numbers)
}
