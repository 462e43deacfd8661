// The soak test's clients. Each reads, pauses, leaves in some way and reconnects with the last id
// that it has seen. The next id must follow that one, regardless of what happened in between.
import net from 'node:net'
import { answer } from 'tcp-sse/testing'

/** A client that is about to vanish or to be cut off for a while. */
export interface Fault {
  readonly index: number
  readonly key: string
  readonly kind: 'vanish' | 'outage'
}

/** What the clients have seen. */
export interface Tally {
  readonly sessions: number
  readonly events: number
  readonly gaps: number
  readonly doubles: number
  readonly garbled: number
  readonly first: readonly string[]
  readonly left: Readonly<Record<string, number>>
}

/** The last id of a session that has ended. */
export interface Final {
  readonly key: string
  readonly last: number
}

const WAYS = ['fin', 'rst', 'vanish', 'vanish', 'outage', 'stay'] as const
const READS = ['all', 'all', 'all', 'slow', 'slow', 'never'] as const
const STAY = 9_000
/** After this long without a byte, the kernel's buffer has been read completely. */
const READ_OUT = 250

const faults: Fault[] = []
const finals: Final[] = []
const clients: Client[] = []
const left: Record<string, number> = {}
const tally = { sessions: 0, events: 0, gaps: 0, doubles: 0, garbled: 0 }
const first: string[] = []
let stopped = false

const between = (least: number, most: number): number => least + Math.random() * (most - least)
const pick = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T
const delay = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds))

/** The text of a chunked response, and its events. */
class Decoder {
  #bytes = Buffer.alloc(0)
  #text = ''
  #head = true

  /** The ids in the received text. @throws {Error} if it is not a chunked event stream */
  take(chunk: Buffer): number[] {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    if (this.#head && !this.#skipHead()) return []
    while (this.#takeChunk());
    const parts = this.#text.split('\n\n')
    this.#text = parts.pop() as string
    return parts.flatMap((part) => /^id: (\d+)$/m.exec(part)?.[1] ?? []).map(Number)
  }

  #skipHead(): boolean {
    const end = this.#bytes.indexOf('\r\n\r\n')
    if (end < 0) return false
    if (!this.#bytes.subarray(0, end).includes(' 200 ')) throw new Error('the answer is not 200')
    this.#bytes = this.#bytes.subarray(end + 4)
    this.#head = false
    return true
  }

  #takeChunk(): boolean {
    const line = this.#bytes.indexOf('\r\n')
    if (line < 0) return false
    const size = Number.parseInt(this.#bytes.subarray(0, line).toString(), 16)
    if (!(size >= 0)) throw new Error('the chunks are broken')
    const end = line + 2 + size
    if (this.#bytes.length < end + 2) return false
    if (this.#bytes.subarray(end, end + 2).toString() !== '\r\n') throw new Error('a chunk is long')
    this.#text += this.#bytes.subarray(line + 2, end).toString('latin1')
    this.#bytes = this.#bytes.subarray(end + 2)
    return size > 0
  }
}

class Client {
  readonly #timers: NodeJS.Timeout[] = []
  #socket: net.Socket | undefined
  #last = 0
  #kind: number
  #healed: (() => void) | undefined

  constructor(
    readonly index: number,
    readonly address: string,
    readonly server: { host: string; port: number },
  ) {
    this.#kind = index
  }

  async live(): Promise<void> {
    while (!stopped) {
      await this.#session()
      await delay(between(0, 300))
    }
  }

  /**
   * Called when the path is cut. Reads what this kernel still holds, and forgets the connection.
   */
  vanished(): void {
    this.#forget()
    const socket = this.#socket
    if (socket === undefined) return
    socket.resume()
    let before = -1
    const timer = setInterval(() => {
      // The timers of a busy process are late, and may fire before it has read.
      if (socket.bytesRead === before) {
        clearInterval(timer)
        socket.destroy()
      }
      before = socket.bytesRead
    }, READ_OUT)
  }

  healed(): void {
    this.#healed?.()
  }

  stop(): void {
    // A client that has vanished is still being read.
    if (this.#healed === undefined) this.#socket?.destroy()
    this.healed()
  }

  async #session(): Promise<void> {
    tally.sessions++
    const decoder = new Decoder()
    const socket = net.connect({ ...this.server, localAddress: this.address })
    this.#socket = socket
    let key = ''
    let vanishes: Promise<void> | undefined
    socket.on('error', () => {})
    socket.on('connect', () => {
      // Not the port, because another connection gets it some minutes later.
      key = `${this.address}-${tally.sessions}`
      const resume = this.#last > 0 ? `last-event-id: ${this.#last}\r\n` : ''
      socket.write(`GET /?kind=${this.#kind++}&key=${key} HTTP/1.1\r\nhost: soak\r\n${resume}\r\n`)
    })
    socket.on('data', (chunk: Buffer) => this.#take(decoder, chunk))
    this.#pace(socket)
    this.#later(between(200, 7_000), () => {
      // A client without a connection cannot vanish.
      const way = key === '' ? 'rst' : pick(WAYS)
      left[way] = (left[way] ?? 0) + 1
      if (way === 'vanish') vanishes = new Promise((resolve) => (this.#healed = resolve))
      this.#leave(way, socket, key)
    })
    await new Promise((resolve) => socket.once('close', resolve))
    this.#forget()
    finals.push({ key, last: this.#last })
    // Until then, no packet of this address arrives.
    await vanishes
  }

  #take(decoder: Decoder, chunk: Buffer): void {
    try {
      for (const id of decoder.take(chunk)) this.#see(id)
    } catch (error) {
      tally.garbled++
      note(`${(error as Error).message} after ${this.#last}`)
      this.#socket?.destroy()
    }
  }

  #see(id: number): void {
    tally.events++
    const expected = this.#last + 1
    if (this.#last > 0 && id !== expected) {
      if (id > expected) tally.gaps++
      else tally.doubles++
      note(`${id} after ${this.#last}`)
    }
    this.#last = id
  }

  #pace(socket: net.Socket): void {
    const reads = pick(READS)
    if (reads === 'never') this.#later(500, () => socket.pause())
    if (reads !== 'slow') return
    const timer = setInterval(() => {
      socket.pause()
      this.#later(150, () => socket.resume())
    }, 200)
    this.#timers.push(timer)
  }

  #leave(way: (typeof WAYS)[number], socket: net.Socket, key: string): void {
    if (way === 'fin') socket.end().destroySoon()
    else if (way === 'rst') socket.resetAndDestroy()
    else if (way !== 'stay') faults.push({ index: this.index, key, kind: way })
    if (way === 'stay' || way === 'outage') this.#later(STAY, () => socket.destroy())
  }

  #later(milliseconds: number, action: () => void): void {
    this.#timers.push(setTimeout(action, milliseconds))
  }

  #forget(): void {
    for (const timer of this.#timers.splice(0)) clearTimeout(timer)
  }
}

function note(what: string): void {
  if (first.length < 20) first.push(what)
}

answer({
  start(server: { host: string; port: number }, addresses: readonly string[]): void {
    for (const [index, address] of addresses.entries()) {
      const client = new Client(index, address, server)
      clients.push(client)
      setTimeout(() => void client.live(), index * 20)
    }
  },
  faults: () => faults.splice(0),
  vanished(indexes: readonly number[]): void {
    for (const index of indexes) clients[index]?.vanished()
  },
  healed(indexes: readonly number[]): void {
    for (const index of indexes) clients[index]?.healed()
  },
  finals: () => finals.splice(0),
  tally: (): Tally => ({ ...tally, first, left }),
  stop(): void {
    stopped = true
    for (const client of clients) client.stop()
  },
})
