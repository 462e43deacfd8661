// The streams that the monitor does not hold: those without a socket, and those whose end is on its way.

/** Live streams, whatever made them. */
export const unwatched = new Set<object>()
