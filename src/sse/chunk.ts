// HTTP/1.1's chunks (RFC 9112, 7.1): a length in hexadecimal, a line end, the bytes, a line end.

const CR = 13
const LF = 10
/** What stands between a chunk's length and its bytes, and after these. */
export const LINE_END = 2
/** The longest frame: eight hexadecimal digits and two line ends. */
export const MOST_FRAME = 12

/** How many digits a length has. */
export function digitsOf(length: number): number {
  let digits = 1
  while (length >= 16 ** digits) digits += 1
  return digits
}

/** The size of a chunk on the wire. */
export function chunkSize(length: number): number {
  return length + digitsOf(length) + 2 * LINE_END
}

/** Writes what comes before a chunk's bytes; returns where these begin. */
export function putChunkStart(target: Uint8Array, at: number, length: number): number {
  const digits = digitsOf(length)
  for (let i = digits - 1, rest = length; i >= 0; i--, rest >>>= 4) {
    const digit = rest & 15
    target[at + i] = digit < 10 ? 48 + digit : 87 + digit
  }
  return putLineEnd(target, at + digits)
}

/** Writes a line end; returns where it ends. */
export function putLineEnd(target: Uint8Array, at: number): number {
  target[at] = CR
  target[at + 1] = LF
  return at + LINE_END
}

/** The bytes as one chunk. */
export function asChunk(bytes: Uint8Array): Buffer {
  const chunk = Buffer.allocUnsafe(chunkSize(bytes.length))
  const body = putChunkStart(chunk, 0, bytes.length)
  chunk.set(bytes, body)
  putLineEnd(chunk, body + bytes.length)
  return chunk
}
