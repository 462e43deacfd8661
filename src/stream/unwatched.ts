// Streams that the monitor does not hold: those without a socket, and those whose end is on its way.
import { shared } from '../internal/shared.js'

/** Live streams of any copy of this library. */
export const unwatched = shared('unwatched streams', () => new Set<object>())
