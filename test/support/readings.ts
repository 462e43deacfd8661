// Readings of sockets in a table, for the pure functions of liveness/.
import { observe } from '../../src/liveness/observe.js'
import type { MonitorPlan } from '../../src/liveness/plan.js'
import { column, READING_WIDTH, type ReadingColumn } from '../../src/liveness/reading.js'
import { Table } from '../../src/tcp/record.js'

/** Numbers of a reading, by column. */
export type Numbers = Partial<Record<ReadingColumn, number>>

/** Of a healthy idle connection. */
export const healthy: Numbers = {
  errno: 0,
  outq: 0,
  state: 1,
  unackedSegments: 0,
  unsent: 0,
  sendWindow: 65_536,
  retransmits: 0,
  rto: 201,
  probes: 0,
  lastAckReceived: 10,
  lastDataReceived: 10,
  lost: 0,
  totalRetransmits: 0,
  reportedDuplicates: 0,
  dataSegmentsSent: 100,
  bytesAcked: 1_000,
  windowLimited: 0,
  rtt: 0.1,
  rttVariation: 0.1,
  minRtt: 0.1,
}

/** Where the readings of a test are. */
export const readings = new Table(READING_WIDTH)

/** Writes numbers where a look would. */
export function write(table: Table, start: number, numbers: Numbers): void {
  for (const [name, value] of Object.entries(numbers)) {
    table.set(start, column[name as ReadingColumn], value)
  }
}

/** A reading of a healthy idle connection but for what is named. */
export function reading(numbers: Numbers = {}): number {
  const start = readings.allocate()
  write(readings, start, { ...healthy, ...numbers })
  return start
}

/** The same, put beside the reading before. */
export function observed(
  previous: number | undefined,
  numbers: Numbers,
  plan: MonitorPlan,
  now: number,
): number {
  const current = reading(numbers)
  observe(readings, previous, current, plan, now)
  return current
}

/** A number of a reading. */
export const numberOf = (start: number, name: ReadingColumn): number =>
  readings.get(start, column[name])
