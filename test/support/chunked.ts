// A strict parser of HTTP/1.1 responses with a chunked body (RFC 9112, 7.1): what it takes, every client takes.

/** A response as far as it has come. */
export interface ChunkedResponse {
  readonly head: string
  readonly body: string
  /** Whether the last chunk has come. */
  readonly complete: boolean
  /** What follows it. */
  readonly rest: Buffer
}

/** @throws where the bytes are no such response */
export function parseChunked(bytes: Buffer): ChunkedResponse {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) return { head: '', body: '', complete: false, rest: bytes }
  const head = bytes.toString('latin1', 0, headEnd)
  if (!/^transfer-encoding: chunked$/im.test(head)) throw new Error(`not chunked: ${head}`)
  const parts: Buffer[] = []
  let at = headEnd + 4
  const done = (complete: boolean): ChunkedResponse => ({
    head,
    body: Buffer.concat(parts).toString(),
    complete,
    rest: bytes.subarray(at),
  })
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd < 0) return done(false)
    const size = bytes.toString('latin1', at, lineEnd)
    if (!/^[0-9a-f]+$/i.test(size)) throw new Error(`not a chunk size: ${JSON.stringify(size)}`)
    const length = Number.parseInt(size, 16)
    const start = lineEnd + 2
    if (bytes.length < start + length + 2) return done(false)
    if (bytes.toString('latin1', start + length, start + length + 2) !== '\r\n') {
      throw new Error('a chunk without its end of line')
    }
    at = start + length + 2
    if (length === 0) return done(true)
    parts.push(bytes.subarray(start, start + length))
  }
}

/** The ids of whole events in a body, in order. @throws where there is something else than events and comments */
export function idsOf(body: string): string[] {
  const ids: string[] = []
  for (const block of body.split('\n\n').slice(0, -1)) {
    const id = /^id: (.*)$/m.exec(block)?.[1]
    if (id !== undefined) ids.push(id)
    else if (!/^(:|retry:)/.test(block)) throw new Error(`no event: ${JSON.stringify(block)}`)
  }
  return ids
}

/** Bytes of the empty comment that goes with the head, as a chunk: `3 CRLF : LF LF CRLF`. */
export const FIRST_CHUNK = 8

/** The ids of the events that a client dispatches: those with data. */
export function dispatchedIdsOf(text: string): string[] {
  const blocks = text.split('\n\n').filter((block) => /^data/m.test(block))
  return blocks.flatMap((block) => idsOf(`${block}\n\n`))
}
