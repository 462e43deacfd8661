// Positions: `<era>.<sequence>.<check>`. The era is the time at which the stream was made. The
// check is a hash of the entry's token, because a server that has lost the end of a stream reuses
// its numbers.
import { hash } from '../hash.js'
import type { Position } from '../hub.js'

/** The parts of a position. */
export interface Place {
  readonly era: string
  readonly sequence: number
  readonly check: string
}

const POSITION = /^([a-z0-9]{1,12})\.(0|[1-9]\d{0,14})\.([a-z0-9]{1,7})$/

export function positionOf({ era, sequence, check }: Place): Position {
  return `${era}.${sequence}.${check}`
}

/** The parts of a position that a client has sent. `undefined` if it is not a position. */
export function placeOf(position: Position): Place | undefined {
  const [, era, sequence, check] = POSITION.exec(position) ?? []
  if (era === undefined || check === undefined) return undefined
  return { era, sequence: Number(sequence), check }
}

/** A hash of an entry's token. It distinguishes entries that got the same number. */
export function checkOf(token: string): string {
  return hash(token).toString(36)
}
