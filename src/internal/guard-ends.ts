// Responses that a guard has ended, so that a stream of this library on one of them reports the guard's reason, and not
// that its client has left.
import { shared } from './shared.js'

/** Why a guard ended a response. */
export interface GuardEnd {
  readonly reason: 'stalled' | 'expired'
  /** With `stalled`: for how long the client had accepted nothing, in milliseconds. */
  readonly stalledFor: number | undefined
}

const ends = shared('guard-ends', () => new WeakMap<object, GuardEnd>())

/** Records that a guard ends a response. Call this before it does. */
export function noteGuardEnd(res: object, end: GuardEnd): void {
  ends.set(res, end)
}

/** Why a guard ended this response, if one did. */
export function guardEndOf(res: object): GuardEnd | undefined {
  return ends.get(res)
}
