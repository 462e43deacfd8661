// Positions: `<era>.<sequence>.<check>`. The era is the time at which the stream was made. The check is a hash of the entry's token, because a server that
// has lost the end of a stream gives its numbers again.
import type { Position } from '../hub.js'

/** A position's parts. */
export interface Place {
  readonly era: string
  readonly sequence: number
  readonly check: string
}

const POSITION = /^([a-z0-9]{1,12})\.(0|[1-9]\d{0,14})\.([a-z0-9]{1,7})$/

export function positionOf({ era, sequence, check }: Place): Position {
  return `${era}.${sequence}.${check}`
}

/** The parts of what a client has sent, or `undefined` for what is no position. */
export function placeOf(position: Position): Place | undefined {
  const [, era, sequence, check] = POSITION.exec(position) ?? []
  if (era === undefined || check === undefined) return undefined
  return { era, sequence: Number(sequence), check }
}

/** FNV-1a, 32 bits. */
export function checkOf(token: string): string {
  let value = 0x811c9dc5
  for (let at = 0; at < token.length; at++) {
    value = Math.imul(value ^ token.charCodeAt(at), 0x01000193) >>> 0
  }
  return value.toString(36)
}
