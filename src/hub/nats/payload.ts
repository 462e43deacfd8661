// An entry as a message: a JSON array of token, text and key. A marker, which has no event, has
// only the token.
import type { Entry, NewEntry } from '../hub.js'
import { checkOf, type Place, positionOf } from './position.js'

/** The content of a message. */
export interface Payload {
  readonly token: string
  readonly text?: string
  readonly key?: string
}

export function encode({ token, text, key }: NewEntry): string {
  return JSON.stringify(key === undefined ? [token, text] : [token, text, key])
}

export function encodeMarker(token: string): string {
  return JSON.stringify([token])
}

/** A message that another program has published to the hub's subjects counts as a marker. */
export function decode(text: string): Payload {
  try {
    const [token, event, key] = JSON.parse(text) as string[]
    return {
      token: String(token),
      ...(event === undefined ? {} : { text: event }),
      ...(key === undefined ? {} : { key }),
    }
  } catch {
    return { token: '' }
  }
}

export function placeIn(era: string, sequence: number, { token }: Payload): Place {
  return { era, sequence, check: checkOf(token) }
}

/** `undefined` for a marker. */
export function entryOf(place: Place, { token, text, key }: Payload): Entry | undefined {
  if (text === undefined) return undefined
  return { position: positionOf(place), text, token, ...(key === undefined ? {} : { key }) }
}
