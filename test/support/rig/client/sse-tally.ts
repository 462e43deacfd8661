/**
 * Counts the events of an event stream as they come in, in pieces cut anywhere, by the rules of
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */

const LF = 10
const CR = 13

/** A running count over one event stream. */
export class SseTally {
  events = 0
  comments = 0
  lastEventId = ''
  lastData = ''
  readonly #keepIds: number
  #ids: string[] = []
  // Bytes as latin1: a character cut in two by the network is not a concern until it is decoded.
  #rest = ''
  #skipLf = false
  #atStart = true
  #id: string | undefined
  #data: string[] = []

  constructor(keepIds: number) {
    this.#keepIds = keepIds
  }

  /** The latest ids, in order. */
  get ids(): readonly string[] {
    return this.#ids.slice(-this.#keepIds)
  }

  /** Takes the next piece of the body. */
  write(piece: Buffer): void {
    let text = this.#rest + piece.toString('latin1')
    if (this.#atStart && text.length >= 3) {
      this.#atStart = false
      if (text.startsWith('\xef\xbb\xbf')) text = text.slice(3)
    }
    let start = 0
    let at = this.#rest.length
    if (this.#skipLf && text.length > 0) {
      this.#skipLf = false
      if (text.charCodeAt(0) === LF) start = at = 1
    }
    for (; at < text.length; at++) {
      const char = text.charCodeAt(at)
      if (char !== LF && char !== CR) continue
      this.#line(text.slice(start, at))
      if (char === CR) {
        if (at + 1 === text.length) this.#skipLf = true
        else if (text.charCodeAt(at + 1) === LF) at++
      }
      start = at + 1
    }
    this.#rest = text.slice(start)
  }

  #line(line: string): void {
    if (line === '') return this.#dispatch()
    const colon = line.indexOf(':')
    if (colon === 0) {
      this.comments++
      return
    }
    const field = colon < 0 ? line : line.slice(0, colon)
    let value = colon < 0 ? '' : line.slice(colon + 1)
    if (value.startsWith(' ')) value = value.slice(1)
    if (field === 'data') this.#data.push(value)
    else if (field === 'id' && !value.includes('\0')) this.#id = utf8(value)
  }

  #dispatch(): void {
    if (this.#id !== undefined) this.lastEventId = this.#id
    if (this.#data.length > 0) {
      this.events++
      this.lastData = utf8(this.#data.join('\n'))
      if (this.#id !== undefined) this.#keep(this.#id)
      this.#data = []
    }
    this.#id = undefined
  }

  #keep(id: string): void {
    this.#ids.push(id)
    if (this.#ids.length >= 2 * this.#keepIds + 16) this.#ids = this.#ids.slice(-this.#keepIds)
  }
}

function utf8(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString()
}
