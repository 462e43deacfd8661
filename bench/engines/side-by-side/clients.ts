// All clients of one library. They read the bytes of their connections themselves, in the same way
// for both protocols, so that their own work does not decide.
import net from 'node:net'
import { answer } from '../../../src/testing/index.js'
import { delay } from '../../../test/support/delay.js'

/** A message: which clients have it, and when the last of them got it, ms since the epoch. */
interface Arrival {
  readonly clients: Set<number>
  lastAt: number
  repeated: number
}

const arrivals = new Map<number, Arrival>()
let connected = 0
let ended = 0

function read(client: number, text: string): void {
  for (const [, number] of text.matchAll(/"n":(\d+)/g)) {
    const n = Number(number)
    const arrival = arrivals.get(n) ?? { clients: new Set(), lastAt: 0, repeated: 0 }
    if (arrival.clients.has(client)) arrival.repeated += 1
    arrival.clients.add(client)
    arrival.lastAt = performance.timeOrigin + performance.now()
    arrivals.set(n, arrival)
  }
}

function open(port: number, request: string, onText: (socket: net.Socket, text: string) => void) {
  const socket = net.connect(port, '127.0.0.1')
  // Binary-safe, and one byte is one character.
  socket.setEncoding('latin1')
  socket.on('connect', () => socket.write(`${request}\r\nHost: a\r\n\r\n`))
  socket.on('data', (text: string) => onText(socket, text))
  socket.on('error', () => {})
  socket.on('close', () => {
    ended += 1
  })
}

function openStream(client: number, port: number): void {
  let rest = ''
  let begun = false
  open(port, 'GET / HTTP/1.1\r\nAccept: text/event-stream', (_socket, data) => {
    if (!begun) connected += 1
    begun = true
    const text = rest + data
    const end = text.lastIndexOf('\n\n') + 1
    rest = text.slice(end)
    read(client, text.slice(0, end))
  })
}

const UPGRADE =
  'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket' +
  '\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='

/** RFC 6455, Engine.IO 4 and Socket.IO 5: open, connect to the main namespace, answer pings. */
function openSocketIo(client: number, port: number): void {
  let rest = ''
  let upgraded = false
  open(port, UPGRADE, (socket, data) => {
    rest += data
    if (!upgraded) {
      const end = rest.indexOf('\r\n\r\n')
      if (end < 0) return
      upgraded = true
      rest = rest.slice(end + 4)
    }
    for (let frame = nextFrame(rest); frame !== undefined; frame = nextFrame(rest)) {
      rest = rest.slice(frame.end)
      const { text } = frame
      if (text.startsWith('0')) socket.write(textFrame('40'))
      else if (text.startsWith('40')) connected += 1
      else if (text === '2') socket.write(textFrame('3'))
      else read(client, text)
    }
  })
}

/** The first whole frame. A server's frames are not masked, and none here has 64 KB. */
function nextFrame(data: string): { text: string; end: number } | undefined {
  const short = data.charCodeAt(1) & 0x7f
  const head = short === 126 ? 4 : 2
  if (data.length < head) return undefined
  if (short === 127) throw new Error('a frame of 64 KB or more')
  const length = short === 126 ? (data.charCodeAt(2) << 8) | data.charCodeAt(3) : short
  const end = head + length
  return data.length < end ? undefined : { text: data.slice(head, end), end }
}

/** A client's frames are masked; a mask of zeros changes nothing. */
function textFrame(text: string): Buffer {
  const head = Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0])
  return Buffer.concat([head, Buffer.from(text)])
}

answer({
  async open(kind: 'sse' | 'socket.io', ports: number[], count: number) {
    const connect = kind === 'sse' ? openStream : openSocketIo
    for (let n = 0; n < count; n++) {
      connect(n, ports[n % ports.length] as number)
      if (n % 50 === 0) await delay(20)
    }
  },
  connected: () => connected,
  /** By message: how many clients have it, how often it came again, and when it came last. */
  arrivals: () =>
    [...arrivals].map(([n, { clients, repeated, lastAt }]) => [
      n,
      { count: clients.size, repeated, lastAt },
    ]),
  ended: () => ended,
})
