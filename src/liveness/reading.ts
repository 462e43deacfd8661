// A reading: the record of a sample in a table, with the kernel's data and what follows from a comparison with the
// previous one.
import { COLUMNS, columnsOf, type Table } from '../tcp/record.js'

/** Columns that `observe` fills in. Times are in ms. */
const DERIVED = [
  'at', // Time of the sample, on the monitor's clock
  'answeredAt', // Time of the peer's last answer: an ACK, or data
  'asked', // Number of questions since then that are known to be unanswered
  'needed', // Number of questions that must go unanswered on this path
  'provedAt', // Time of the sample that first found that many; NaN before
  'recovering', // 1 if lost segments were being sent again at the last answer, else 0
  'questions', // The path's record: questions during the connection's life; older ones count less
  'unanswered', // Number of these that went unanswered
  'recordedSegments', // The part of `dataSegmentsSent` that is in the record
  'recordedRetransmits', // The part of `totalRetransmits` that is in the record
  'recordedDuplicates', // `reportedDuplicates` at the last answer
  'unreported', // Losses recorded at the last answer that no report has matched yet
  'unmatched', // Reports at the last answer that have matched no loss yet
] as const

const NAMES = [...COLUMNS, ...DERIVED] as const

/** The columns of a reading. */
export type ReadingColumn = (typeof NAMES)[number]

/** The index of each column in a reading. */
export const column = columnsOf<ReadingColumn>(NAMES)

/** The number of columns of a reading. */
export const READING_WIDTH = NAMES.length

/**
 * Whether only the peer's window holds up data: bytes wait and none is in flight, or the window was closed over bytes
 * in flight.
 */
export function isWindowShut(table: Table, reading: number): boolean {
  return table.get(reading, column.unackedSegments) > 0
    ? table.get(reading, column.sendWindow) === 0
    : table.get(reading, column.unsent) > 0
}

/** Whether nothing is in flight or waiting, so that only keepalive asks the peer. */
export function isIdle(table: Table, reading: number): boolean {
  return table.get(reading, column.unackedSegments) + table.get(reading, column.unsent) === 0
}

/** Whether the peer has closed its window over data in flight. The kernel then probes it with retransmits. */
export function isRetracted(table: Table, reading: number): boolean {
  return (
    table.get(reading, column.unackedSegments) > 0 && table.get(reading, column.sendWindow) === 0
  )
}
