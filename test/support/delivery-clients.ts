// The receiving side of the delivery proof: it knows to the byte what its kernel has taken.
import net from 'node:net'
import { inspectSocket } from '../../src/index.js'
import { answer } from '../../src/testing/index.js'

interface Receiver {
  readonly address: string
  readonly socket: net.Socket
  /** Bytes before the stream's body: plain responses and heads. */
  before: number
  taken: number
  timer?: NodeJS.Timeout
}

let receivers: Receiver[] = []

answer({
  /** Connects, each from its own address, in one of several manners of reading. */
  async open({ addresses, host, port }: { addresses: string[]; host: string; port: number }) {
    receivers = await Promise.all(
      addresses.map(async (localAddress, index) => {
        const socket = net.connect({ host, port, localAddress })
        socket.on('error', () => {})
        const receiver: Receiver = { address: localAddress, socket, before: 0, taken: 0 }
        const plain = index % 3 === 0 ? 'GET /plain HTTP/1.1\r\nHost: x\r\n\r\n' : ''
        await new Promise((resolve) => socket.once('connect', resolve))
        await head(receiver, plain, 1)
        await head(receiver, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', plain === '' ? 1 : 2)
        read(receiver, index % 5)
        return receiver
      }),
    )
  },
  /** Bytes of the body that each kernel has taken, read or not. Not while more can arrive. */
  taken: (): { address: string; taken: number }[] =>
    receivers.map((receiver) => {
      receiver.taken =
        (inspectSocket(receiver.socket).bytesReceived ?? Number.NaN) - receiver.before
      return { address: receiver.address, taken: receiver.taken }
    }),
  /** Vanish: with a reset, or with whatever the kernel makes of a close. */
  reset(addresses: string[]) {
    for (const [index, receiver] of receivers.entries()) {
      if (!addresses.includes(receiver.address)) continue
      clearInterval(receiver.timer)
      if (index % 4 < 2) receiver.socket.resetAndDestroy()
      else receiver.socket.destroy()
    }
  },
  forget() {
    for (const { socket, timer } of receivers) {
      clearInterval(timer)
      socket.destroy()
    }
    receivers = []
  },
})

/** Asks for a response and reads its head (and the whole of a plain one). */
async function head(receiver: Receiver, request: string, _nth: number): Promise<void> {
  if (request === '') return
  const { socket } = receiver
  socket.pause()
  socket.write(request)
  let bytes = Buffer.alloc(0)
  for (;;) {
    await new Promise((resolve) => socket.once('readable', resolve))
    // Byte by byte up to the body, so that none of it is counted here.
    for (let byte = socket.read(1); byte !== null; byte = socket.read(1)) {
      bytes = Buffer.concat([bytes, byte as Buffer])
      if (!bytes.includes('\r\n\r\n')) continue
      const text = bytes.toString('latin1')
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0)
      if (bytes.length < text.indexOf('\r\n\r\n') + 4 + length) continue
      receiver.before += bytes.length
      return
    }
  }
}

/** All at once, slowly, in fits, hardly, or not at all. */
function read(receiver: Receiver, manner: number): void {
  const { socket } = receiver
  if (manner <= 1) {
    socket.on('data', () => {})
    return
  }
  const pauses = [40, 250, Number.POSITIVE_INFINITY][manner - 2] as number
  if (pauses === Number.POSITIVE_INFINITY) return
  receiver.timer = setInterval(() => socket.read(), pauses)
}
