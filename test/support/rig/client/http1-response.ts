/** An HTTP/1.1 response, taken apart as it comes in. Only as strict as a test client needs. */

/** Receives what {@link Http1Response} finds. */
export interface ResponseParts {
  head(status: number, headers: Record<string, string>): void
  body(piece: Buffer): void
  complete(): void
}

type State = 'head' | 'size' | 'chunk' | 'chunk-end' | 'trailer' | 'length' | 'until-close' | 'done'

/** The parser. Throws on what it does not understand. */
export class Http1Response {
  readonly #parts: ResponseParts
  #state: State = 'head'
  #line = ''
  #left = 0

  constructor(parts: ResponseParts) {
    this.#parts = parts
  }

  /** Takes the next piece off the wire. Pieces of body are views of it: copy them to keep them. */
  write(piece: Buffer): void {
    let at = 0
    while (at < piece.length && this.#state !== 'done') {
      if (this.#state === 'chunk' || this.#state === 'length' || this.#state === 'until-close') {
        const size = this.#state === 'until-close' ? piece.length - at : this.#left
        const part = piece.subarray(at, at + size)
        at += part.length
        this.#left -= part.length
        this.#parts.body(part)
        if (this.#left === 0) this.#onBodyEnd()
      } else {
        const end = piece.indexOf(10, at)
        this.#line += piece.toString('latin1', at, end < 0 ? piece.length : end + 1)
        at = end < 0 ? piece.length : end + 1
        if (end >= 0) this.#onLine()
      }
    }
  }

  /** The connection has ended: a body without a length is complete then. */
  end(): void {
    if (this.#state === 'until-close') this.#finish()
  }

  #onLine(): void {
    const line = this.#line
    if (this.#state === 'head') {
      if (line.endsWith('\r\n\r\n')) {
        this.#line = ''
        this.#onHead(line)
      }
      return
    }
    this.#line = ''
    if (this.#state === 'size') {
      this.#left = Number.parseInt(line, 16)
      if (Number.isNaN(this.#left)) throw new Error(`not a chunk size: ${JSON.stringify(line)}`)
      this.#state = this.#left === 0 ? 'trailer' : 'chunk'
    } else if (this.#state === 'chunk-end') {
      this.#state = 'size'
    } else if (line === '\r\n') {
      this.#finish()
    }
  }

  #onHead(head: string): void {
    const [statusLine = '', ...lines] = head.trimEnd().split('\r\n')
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(statusLine)?.[1]
    if (status === undefined) throw new Error(`not a status line: ${JSON.stringify(statusLine)}`)
    if (status.startsWith('1')) return
    const headers: Record<string, string> = {}
    for (const line of lines) {
      const colon = line.indexOf(':')
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
    }
    this.#left = -1
    if (status === '204' || status === '304') this.#state = 'done'
    else if (headers['transfer-encoding']?.toLowerCase() === 'chunked') this.#state = 'size'
    else if (headers['content-length'] === undefined) this.#state = 'until-close'
    else {
      this.#left = Number(headers['content-length'])
      this.#state = this.#left === 0 ? 'done' : 'length'
    }
    this.#parts.head(Number(status), headers)
    if (this.#state === 'done') this.#parts.complete()
  }

  #onBodyEnd(): void {
    if (this.#state === 'chunk') this.#state = 'chunk-end'
    else if (this.#state === 'length') this.#finish()
  }

  #finish(): void {
    this.#state = 'done'
    this.#parts.complete()
  }
}
