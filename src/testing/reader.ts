// A client that reads at a given rate. What it does not read stays in the kernel, so that its
// window shuts.
import net from 'node:net'
import tls from 'node:tls'
import { callEvery } from '../internal/scheduling.js'
import {
  type Check,
  type Checks,
  checkOptions,
  duration,
  integer,
  wrongType,
} from '../internal/validate.js'

/**
 * How a client reads: everything, nothing, or a number of bytes per interval. The last form needs
 * `http:`; over `https:` it reads everything.
 */
export type Reading =
  | 'all'
  | 'never'
  | {
      /** Bytes per read. */
      bytes: number
      /** Milliseconds between two reads. */
      everyMs: number
    }

/**
 * Checks a `Reading`.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`
 */
export const checkReading: Check<Reading> = (value, name) => {
  if (value === 'all' || value === 'never') return value
  if (typeof value !== 'object' || value === null) {
    throw wrongType(name, "'all', 'never' or { bytes, everyMs }", value)
  }
  const { bytes, everyMs } = checkOptions(value as Slices, sliceChecks, name)
  return {
    bytes: sliceChecks.bytes(bytes, `${name}.bytes`),
    everyMs: sliceChecks.everyMs(everyMs, `${name}.everyMs`),
  }
}

type Slices = Exclude<Reading, string>

const sliceChecks: Checks<Slices> = {
  bytes: integer('bytes', { min: 1, max: 65_536 }),
  everyMs: duration(),
}

/** What a client has received so far. */
export interface Received {
  /** Bytes, including the head of the response. */
  readonly bytes: number
  /** The first 64 KiB of these bytes. */
  readonly text: string
  /** The ids of all events, in order. */
  readonly ids: readonly string[]
  /** Whether the connection has ended, by either side. */
  readonly ended: boolean
}

/** The server's address, and the client's own. */
export interface Target {
  readonly host: string
  readonly port: number
  readonly localAddress?: string | undefined
  /** Uses TLS, with this protocol. The certificate is not checked. */
  readonly secure?: 'http/1.1' | 'h2' | undefined
}

const TEXT_KEPT = 65_536
const LARGEST_READ = 65_536

/** One connection. */
export class Reader {
  readonly socket: net.Socket
  bytes = 0
  ended = false
  readonly ids: string[] = []
  #text = ''
  #line = ''
  #reading: Reading
  #stopTimer: (() => void) | undefined

  constructor({ secure, ...target }: Target, reading: Reading) {
    this.#reading = reading
    this.socket =
      secure === undefined
        ? net.connect({ ...target, onread: this.#slices() })
        : tls.connect({ ...target, rejectUnauthorized: false, ALPNProtocols: [secure] })
    if (secure === 'http/1.1') this.socket.on('data', (chunk) => this.take(chunk))
    this.socket.on('error', () => {})
    this.socket.on('end', () => {
      this.ended = true
    })
    this.socket.on('close', () => {
      this.ended = true
      this.#stopTimer?.()
    })
  }

  /** Settles when the connection is established. */
  async connected(): Promise<void> {
    const { socket } = this
    await new Promise<void>((resolve, reject) => {
      socket.once(socket instanceof tls.TLSSocket ? 'secureConnect' : 'connect', () => resolve())
      socket.once('error', reject)
    })
    this.read(this.#reading)
  }

  get received(): Received {
    return { bytes: this.bytes, text: this.#text, ids: this.ids, ended: this.ended }
  }

  /** Changes how it reads. The first read after a change may be as large as earlier ones. */
  read(reading: Reading): void {
    this.#stopTimer?.()
    this.#reading = reading
    if (reading === 'never') this.socket.pause()
    else this.socket.resume()
    if (typeof reading === 'object') {
      this.#stopTimer = callEvery(reading.everyMs, () => this.socket.resume())
    }
  }

  /** Records received bytes. */
  take(chunk: Buffer): void {
    this.bytes += chunk.length
    const text = chunk.toString('latin1')
    if (this.#text.length < TEXT_KEPT) this.#text = (this.#text + text).slice(0, TEXT_KEPT)
    const lines = (this.#line + text).split('\n')
    // An unfinished long line is not an id.
    this.#line = (lines.pop() as string).slice(0, 1_000)
    for (const line of lines) if (line.startsWith('id: ')) this.ids.push(line.slice(4).trimEnd())
  }

  /** `onread` delivers small pieces and can be stopped. A stream would read ahead. */
  #slices(): net.OnReadOpts {
    let buffer = Buffer.alloc(0)
    return {
      buffer: () => {
        const bytes = typeof this.#reading === 'object' ? this.#reading.bytes : LARGEST_READ
        const size = Math.min(bytes, LARGEST_READ)
        if (buffer.length !== size) buffer = Buffer.allocUnsafe(size)
        return buffer
      },
      callback: (count) => {
        this.take(buffer.subarray(0, count))
        return typeof this.#reading !== 'object'
      },
    }
  }
}
