/** Connections that read exactly as fast as they are told, and end in every way there is. */
import { connect as connectHttp2 } from 'node:http2'
import { connect as connectTcp, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { Http1Response, type ResponseParts } from './http1-response.js'
import { Pace } from './pace.js'
import type { ReadMode } from './types.js'

/** Where to connect and what to ask for. */
export interface Request {
  readonly host: string
  readonly port: number
  readonly localAddress: string | undefined
  readonly tls: boolean
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly bodyBytes: number
  readonly sendBodyBytes: number
}

/** Receives what happens on a {@link Connection}. */
export interface ConnectionEvents extends ResponseParts {
  /** The TCP connection stands, and TLS if there is any; the request goes out. */
  connected(socket: Socket): void
  /** So many bytes were read. */
  read(bytes: number): void
  /** The connection is over; called once or more, the first call counts. */
  ended(by: 'server' | 'client' | 'error', error?: NodeJS.ErrnoException): void
}

/** One connection with one request on it. */
export interface Connection {
  setRead(mode: ReadMode): void
  halfClose(): void
  reset(): void
  close(): void
  /** Gives up with this error. */
  fail(error: NodeJS.ErrnoException): void
}

/** Connects, sends the request over HTTP/1.1, and reads at the given pace. */
export function openHttp1(request: Request, mode: ReadMode, events: ConnectionEvents): Connection {
  const response = new Http1Response(events)
  const take = (piece: Buffer) => {
    events.read(piece.length)
    try {
      response.write(piece)
    } catch (error) {
      socket.destroy(error as Error)
    }
  }
  const reader = request.tls ? new StreamReader(mode, take) : new TcpReader(mode, take)
  const tcp = connectTcp({
    ...addressOf(request),
    ...(reader instanceof TcpReader && { onread: reader.onread }),
  })
  const socket: Socket = request.tls ? secure(tcp, 'http/1.1') : tcp
  reader.attach(socket)
  socket.once(request.tls ? 'secureConnect' : 'connect', () => {
    events.connected(tcp)
    socket.write(headOf(request))
    if (request.sendBodyBytes > 0) socket.write(Buffer.alloc(request.sendBodyBytes, 'x'))
  })
  socket.once('end', () => {
    response.end()
    events.ended('server')
  })
  watchEnd(socket, reader, events)
  return {
    setRead: (next) => reader.setMode(next),
    halfClose: () => void socket.end(),
    reset: () => {
      events.ended('client')
      tcp.resetAndDestroy()
      socket.destroy()
    },
    close: () => {
      events.ended('client')
      socket.destroy()
      tcp.destroy()
    },
    fail: (error) => void socket.destroy(error),
  }
}

/** Connects, sends the request over HTTP/2, and reads at the given pace. */
export function openHttp2(request: Request, mode: ReadMode, events: ConnectionEvents): Connection {
  const tcp = connectTcp(addressOf(request))
  const socket: Socket = request.tls ? secure(tcp, 'h2') : tcp
  const reader = new StreamReader(mode, (piece) => {
    events.read(piece.length)
    events.body(piece)
  })
  const scheme = request.tls ? 'https' : 'http'
  const session = connectHttp2(`${scheme}://${authorityOf(request)}`, {
    createConnection: () => socket,
  })
  const stream = session.request(
    {
      ...request.headers,
      accept: 'text/event-stream',
      ...(request.bodyBytes > 0 && { 'content-length': request.bodyBytes }),
      ':method': request.method,
      ':path': request.path,
    },
    { endStream: request.bodyBytes === 0 },
  )
  if (request.sendBodyBytes > 0) stream.write(Buffer.alloc(request.sendBodyBytes, 'x'))
  if (request.bodyBytes > 0 && request.sendBodyBytes === request.bodyBytes) stream.end()
  session.once('connect', () => events.connected(tcp))
  stream.once('response', ({ ':status': status = 0, ...headers }) => {
    events.head(status, Object.fromEntries(Object.entries(headers).map(([k, v]) => [k, `${v}`])))
  })
  stream.once('end', () => {
    events.complete()
    events.ended('server')
  })
  reader.attach(stream)
  watchEnd(stream, reader, events)
  session.on('error', (error) => events.ended('error', error))
  session.once('close', () => events.ended('server'))
  socket.on('error', (error) => events.ended('error', error))
  const destroy = () => {
    session.destroy()
    tcp.destroy()
  }
  return {
    setRead: (next) => reader.setMode(next),
    halfClose: () => {
      throw new Error('an HTTP/2 session owns its socket: halfClose is for HTTP/1.1')
    },
    reset: () => {
      events.ended('client')
      tcp.resetAndDestroy()
      destroy()
    },
    close: () => {
      events.ended('client')
      destroy()
    },
    fail: (error) => {
      events.ended('error', error)
      destroy()
    },
  }
}

/** Reads a stream at a pace. A timer runs only while the pace needs one. */
abstract class Reader {
  protected pace: Pace
  protected readonly take: (piece: Buffer) => void
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(mode: ReadMode, take: (piece: Buffer) => void) {
    this.pace = new Pace(mode, performance.now())
    this.take = take
    this.#startTimer()
  }

  abstract attach(stream: Duplex): void
  protected abstract pump(): void

  setMode(mode: ReadMode): void {
    if (this.#stopped) return
    clearInterval(this.#timer)
    this.pace = new Pace(mode, performance.now())
    this.#startTimer()
    this.pump()
  }

  stop(): void {
    this.#stopped = true
    clearInterval(this.#timer)
  }

  #startTimer(): void {
    if (this.pace.tickMs === undefined) return
    this.#timer = setInterval(() => {
      this.pace.tick(performance.now())
      this.pump()
    }, this.pace.tickMs)
  }
}

// One for all sockets: what is in it has been dealt with before the next read.
const shared = Buffer.alloc(16_384)

/** Reads a TCP socket with `onread`: nothing is taken from the kernel before its time. */
class TcpReader extends Reader {
  #socket: Socket | undefined

  readonly onread = {
    buffer: () => shared.subarray(0, this.pace.allowance || this.pace.nextRead),
    callback: (bytes: number) => {
      this.pace.spend(bytes)
      this.take(shared.subarray(0, bytes))
      this.pump()
      return true
    },
  }

  attach(socket: Socket): void {
    this.#socket = socket
    this.pump()
  }

  protected pump(): void {
    const socket = this.#socket
    if (this.pace.allowance === 0) socket?.pause()
    else if (socket?.isPaused()) socket.resume()
  }
}

/** Reads any stream by `read(n)`: the stream itself buffers up to its high-water mark. */
class StreamReader extends Reader {
  #stream: Duplex | undefined

  attach(stream: Duplex): void {
    this.#stream = stream
    stream.on('readable', () => this.pump())
  }

  protected pump(): void {
    const stream = this.#stream
    while (stream !== undefined && this.pace.allowance > 0) {
      // read(0) at the end of the stream is what makes it emit 'end'.
      const piece: Buffer | null = stream.read(Math.min(this.pace.allowance, stream.readableLength))
      if (piece === null) return
      this.pace.spend(piece.length)
      this.take(piece)
    }
  }
}

function watchEnd(stream: Duplex, reader: Reader, events: ConnectionEvents): void {
  stream.on('error', (error) => events.ended('error', error))
  stream.once('close', () => {
    reader.stop()
    events.ended('server')
  })
}

function secure(socket: Socket, protocol: string): TLSSocket {
  const options = { socket, rejectUnauthorized: false, ALPNProtocols: [protocol] }
  const tls = connectTls(options)
  socket.on('error', (error) => tls.destroy(error))
  return tls
}

function addressOf({ host, port, localAddress }: Request) {
  return { host, port, ...(localAddress === undefined ? {} : { localAddress }) }
}

function authorityOf({ host, port }: Request): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function headOf(request: Request): string {
  const headers: Record<string, string | number> = {
    Host: authorityOf(request),
    Accept: 'text/event-stream',
    ...(request.bodyBytes > 0 && { 'Content-Length': request.bodyBytes }),
    ...request.headers,
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${request.method} ${request.path} HTTP/1.1\r\n${lines.join('')}\r\n`
}
