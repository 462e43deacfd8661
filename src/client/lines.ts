/** A longer line is data: its beginning is enough to know that. */
const LONGEST = 2_048

/** Makes of chunks of bytes the lines of an event stream, for one who reads along: long ones are cut short. */
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
