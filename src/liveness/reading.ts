// What a look at a socket shows, as a record in a table: what the kernel tells, and what it means beside the look before.
import { COLUMNS, columnsOf, type Table } from '../tcp/record.js'

/** Columns that `observe` fills in. Times in ms. */
const DERIVED = [
  'at', // When the look was made, on the monitor's clock
  'answeredAt', // When the peer's last answer came: an ACK, or data
  'asked', // How many questions are known to have been asked since, none of them answered
  'needed', // How many it takes on this path until the silence means something
  'provedAt', // The look that first found so many; NaN before
  'questions', // The path's record: questions over the connection's life; the older count less
  'unanswered', // Those of them that went unanswered
  'recordedSegments', // `dataSegmentsSent`, as far as it is in the record
  'recordedRetransmits', // `totalRetransmits`, as far as it is in the record
] as const

const NAMES = [...COLUMNS, ...DERIVED] as const

/** The columns of a reading. */
export type ReadingColumn = (typeof NAMES)[number]

/** Where each of them stands. */
export const column = columnsOf<ReadingColumn>(NAMES)

/** How many numbers a reading has. */
export const READING_WIDTH = NAMES.length

/** Whether only the peer's window is in the way: bytes wait and none is in flight, or it was shut over those in flight. */
export function isWindowShut(table: Table, reading: number): boolean {
  return table.get(reading, column.unackedSegments) > 0
    ? table.get(reading, column.sendWindow) === 0
    : table.get(reading, column.unsent) > 0
}

/** Whether nothing is in flight or waits: only keepalive asks the peer. */
export function isIdle(table: Table, reading: number): boolean {
  return table.get(reading, column.unackedSegments) + table.get(reading, column.unsent) === 0
}

/** Whether the peer has shut its window over data in flight: the kernel probes it by retransmits. */
export function isRetracted(table: Table, reading: number): boolean {
  return (
    table.get(reading, column.unackedSegments) > 0 && table.get(reading, column.sendWindow) === 0
  )
}
