// Chunks of HTTP/1.1 (RFC 9112, 7.1): a length in hexadecimal, a line end, the bytes, a line end.

const CR = 13
const LF = 10
/** The length of the line end after a chunk's length and after its bytes. */
export const LINE_END = 2
/** The largest overhead of a chunk: eight hexadecimal digits and two line ends. */
export const MOST_FRAME = 12

/** The number of hexadecimal digits in a length. */
export function digitsOf(length: number): number {
  let digits = 1
  while (length >= 16 ** digits) digits += 1
  return digits
}

/** The size of a chunk on the wire, for `length` bytes. */
export function chunkSize(length: number): number {
  return length + digitsOf(length) + 2 * LINE_END
}

/** Writes the part before a chunk's bytes. Returns the position of the bytes. */
export function putChunkStart(target: Uint8Array, at: number, length: number): number {
  const digits = digitsOf(length)
  for (let i = digits - 1, rest = length; i >= 0; i--, rest >>>= 4) {
    const digit = rest & 15
    target[at + i] = digit < 10 ? 48 + digit : 87 + digit
  }
  return putLineEnd(target, at + digits)
}

/** Writes a line end. Returns the position after it. */
export function putLineEnd(target: Uint8Array, at: number): number {
  target[at] = CR
  target[at + 1] = LF
  return at + LINE_END
}

/** Returns the bytes as one chunk. */
export function asChunk(bytes: Uint8Array): Buffer {
  const chunk = Buffer.allocUnsafe(chunkSize(bytes.length))
  const body = putChunkStart(chunk, 0, bytes.length)
  chunk.set(bytes, body)
  putLineEnd(chunk, body + bytes.length)
  return chunk
}
