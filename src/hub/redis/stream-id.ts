// Ids of stream entries (`<ms>-<seq>`, 64 bits each) and positions (`<era>.<id>`), as strings,
// because a JavaScript number cannot hold them.
import type { Position } from '../hub.js'

/** An id as Redis writes it. */
export type StreamId = string

/** The parts of a position. */
export interface Place {
  readonly era: string
  readonly id: StreamId
}

const NUMBER = '(?:0|[1-9]\\d{0,19})'
const POSITION = new RegExp(`^([a-z0-9]{1,12})\\.(${NUMBER}-${NUMBER})$`)
const LAST_SEQUENCE = '18446744073709551615'

export function positionOf(era: string, id: StreamId): Position {
  return `${era}.${id}`
}

/** The parts of a position that a client has sent. `undefined` if it is not a position. */
export function placeOf(position: Position): Place | undefined {
  const [, era, id] = POSITION.exec(position) ?? []
  if (era === undefined || id === undefined) return undefined
  const [milliseconds, sequence] = halves(id)
  // Redis answers with an error to a number of more than 64 bits.
  const fits = compareNumbers(milliseconds, LAST_SEQUENCE) <= 0
  return fits && compareNumbers(sequence, LAST_SEQUENCE) <= 0 ? { era, id } : undefined
}

/** Negative if `a` comes first. */
export function compareIds(a: StreamId, b: StreamId): number {
  const [aTime, aSequence] = halves(a)
  const [bTime, bSequence] = halves(b)
  return compareNumbers(aTime, bTime) || compareNumbers(aSequence, bSequence)
}

/** The greatest id below this one. */
export function before(id: StreamId): StreamId {
  const [time, sequence] = halves(id)
  if (sequence !== '0') return `${time}-${BigInt(sequence) - 1n}`
  return time === '0' ? '0-0' : `${BigInt(time) - 1n}-${LAST_SEQUENCE}`
}

/** An id above this one and above all others of its millisecond. */
export function beyond(id: StreamId): StreamId {
  return `${BigInt(halves(id)[0]) + 1n}-0`
}

function halves(id: StreamId): [string, string] {
  const dash = id.indexOf('-')
  return [id.slice(0, dash), id.slice(dash + 1)]
}

/** Compares digits without leading zeros. */
function compareNumbers(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length
  return a < b ? -1 : a > b ? 1 : 0
}
