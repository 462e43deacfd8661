/**
 * Characters of a line that are kept. A longer line is data, and its start is enough to know that.
 */
const LONGEST = 2_048

/** Splits chunks of bytes into the lines of an event stream. Long lines are truncated. */
export function lineReader(onLine: (line: string) => void): (bytes: Uint8Array) => void {
  const decoder = new TextDecoder()
  let rest = ''
  return (bytes) => {
    // A CR at the end may be the first half of a CRLF.
    const lines = (rest + decoder.decode(bytes, { stream: true })).split(/\r\n|\n|\r(?!$)/)
    rest = (lines.pop() as string).slice(0, LONGEST)
    lines.forEach(onLine)
  }
}
