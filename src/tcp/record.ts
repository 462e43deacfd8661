// The record of a reading of TCP_INFO: its columns, and tables of such records.
import type { Socket } from 'node:net'
import { addon, fdOf } from '../native/binding.js'

/**
 * What the kernel tells about a socket, in the order in which native/tcp_linux.cc writes it. Times are in milliseconds; NaN
 * stands for what this kernel or this kind of socket does not tell. A new column is a line there and one here.
 */
export const COLUMNS = [
  'errno', // 0, or why TCP_INFO was refused
  'outq', // Bytes that the peer's kernel has not acknowledged, sent or not
  'state', // TCP state, the kernel's number
  'congestionState', // tcp_ca_state, the kernel's number
  'retransmits', // Timeouts in a row without an ACK of new data
  'probes', // Keepalive or window probes in a row without an answer
  'backoff', // Doublings of the timeout in force
  'rto', // The retransmission timeout in force, backed off
  'unackedSegments', // Segments in flight
  'lost', // Segments believed lost now
  'lastDataSent', // Since data was last sent, retransmits included
  'lastDataReceived', // Since data came from the peer
  'lastAckReceived', // Since the last ACK
  'rtt', // Smoothed round-trip time (RFC 6298)
  'rttVariation', // Its mean deviation
  'congestionWindow', // Congestion window, segments
  'totalRetransmits', // Segments retransmitted over the connection's life
  'bytesAcked', // Bytes acknowledged over the connection's life
  'bytesReceived', // Bytes received over the connection's life
  'unsent', // Bytes that wait in the kernel to be sent
  'minRtt', // The shortest round trip that was seen lately
  'dataSegmentsSent', // Segments with data sent over the connection's life, retransmitted ones included
  'deliveryRate', // Bytes a second, the latest measurement
  'windowLimited', // Time that sending was held up by the peer's window, over the connection's life
  'sendWindow', // The window that the peer offers, bytes
] as const

/** Numbers by which columns are read. */
export type Columns<Name extends string> = Readonly<Record<Name, number>>

/** Numbers the columns of a record. */
export function columnsOf<Name extends string>(names: readonly Name[]): Columns<Name> {
  const numbered = names.map((name, index) => [name, index])
  return Object.freeze(Object.fromEntries(numbered)) as Columns<Name>
}

/** Where each column of `COLUMNS` stands in a record. */
export const column = columnsOf(COLUMNS)

/** Rows of numbers in one array, outside of the heap: ten thousand of them cost the garbage collector nothing. */
export class Table {
  /** The whole array; another one after the next `allocate`. */
  numbers: Float64Array
  readonly #width: number
  #used = 0
  readonly #free: number[] = []

  constructor(width: number, rows = 64) {
    this.#width = width
    this.numbers = new Float64Array(rows * width)
  }

  /** Where a new row starts; it is full of NaN. */
  allocate(): number {
    const start = this.#free.pop() ?? this.#grow()
    this.numbers.fill(Number.NaN, start, start + this.#width)
    return start
  }

  /** Takes a row back. */
  release(start: number): void {
    this.#free.push(start)
  }

  /** The number in a column of the record or row that begins at `start`; NaN beyond the table. */
  get(start: number, column: number): number {
    return this.numbers[start + column] ?? Number.NaN
  }

  /** Beyond the table nothing is written. */
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
 * Asks the kernel about all of the sockets with one native call, and has each record written where `starts` says. Without the
 * addon nothing is written.
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
