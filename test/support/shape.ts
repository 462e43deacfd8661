// What a path does to packets, and how it is said to the two programs that can do it. Pure.

/** A path. What is not given does nothing. */
export interface Shape {
  /** Milliseconds, each way. */
  delay?: number
  /** Per cent of the packets, each way. */
  loss?: number
  /** Per cent of the packets that overtake those on their way, each way. It needs a delay. */
  reorder?: number
  /** Bits a second, towards the clients. */
  rate?: number
  /** Bytes that may wait for the rate; what comes on top is dropped. */
  queue?: number
}

/** A full packet, and the least that a queue must hold. */
const PACKET = 1_500
/** Packets that netem holds at most while they are on their way. */
const ON_THEIR_WAY = 100_000

/** A short name for a table: `300 ms, 5 % loss`. */
export function nameOf({ delay, loss, reorder, rate, queue }: Shape): string {
  const parts = [
    delay && `${delay} ms`,
    loss && `${loss} % loss`,
    reorder && `${reorder} % reordered`,
    rate && `${rate / 1000} kbit/s`,
    queue && `${queue / 1000} KB queue`,
  ]
  return parts.filter(Boolean).join(', ') || 'local'
}

/** The round trip of a packet that finds the queue full, in milliseconds. */
export function longestRoundTrip({ delay = 0, rate, queue = PACKET }: Shape): number {
  return 2 * delay + (rate === undefined ? 0 : ((queue * 8) / rate) * 1000)
}

/** A line for pipe.c. */
export function pipeLine(shape: Shape, direction: 'towards' | 'from'): string {
  const { delay = 0, loss = 0, reorder = 0, rate = 0, queue = PACKET } = shape
  const [number, limit] = direction === 'towards' ? [0, rate] : [1, 0]
  return [number, delay, loss, reorder, limit, queue].join(' ')
}

/** Lines for `tc -batch` that put the shape on a device: tc-netem(8) and, for the rate, tc-tbf(8). */
export function netemLines(shape: Shape, direction: 'towards' | 'from', device: string): string {
  const { delay = 0, loss = 0, reorder = 0, rate, queue = PACKET } = shape
  const on = `qdisc replace dev ${device}`
  const disorder = reorder > 0 ? ` reorder ${reorder}%` : ''
  const netem = `${on} root handle 1: netem limit ${ON_THEIR_WAY} delay ${delay}ms loss ${loss}%${disorder}\n`
  if (rate === undefined || direction === 'from') return netem
  return `${netem}${on} parent 1:1 handle 10: tbf rate ${rate}bit burst ${PACKET + 100} limit ${queue}\n`
}
