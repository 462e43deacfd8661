// Many clients in one process, each with an address of its own, reading exactly as fast as it is told to.
import http2 from 'node:http2'
import net from 'node:net'
import tls from 'node:tls'
import { answer } from './rpc.js'

/** How a client reads. */
export type Reading = 'all' | 'never' | { bytes: number; everyMs: number }

/** What to open. */
export interface OpenOptions {
  addresses: string[]
  host: string
  port: number
  path?: string
  read?: Reading
  /** Sends a POST whose body has this many bytes. */
  body?: number
  protocol?: 'http' | 'https' | 'http2'
}

interface Client {
  socket: net.Socket
  bytes: number
  tail: string
  ticks: Set<number>
  ended: boolean
  timer?: NodeJS.Timeout
}

const clients: Client[] = []

answer({
  async open({
    addresses,
    host,
    port,
    path = '/',
    read = 'all',
    body,
    protocol = 'http',
  }: OpenOptions) {
    const from = clients.length
    await Promise.all(
      addresses.map(async (localAddress) => {
        const client: Client = {
          socket: undefined as never,
          bytes: 0,
          tail: '',
          ticks: new Set(),
          ended: false,
        }
        clients.push(client)
        await connect(client, { host, port, localAddress }, read, { path, body }, protocol)
      }),
    )
    return clients.slice(from).map((_, index) => from + index)
  },
  status: () =>
    clients.map(({ bytes, ended, ticks }) => ({
      bytes,
      ended,
      ticks: ticks.size,
      head: bytes > 0,
    })),
  /** The numbers of `id: N` lines seen by one client. */
  ticks: (index: number) => [...(clients[index] as Client).ticks],
  read(index: number, reading: Reading) {
    setReading(clients[index] as Client, reading)
  },
  halfClose: (indexes: number[]) => indexes.forEach((index) => void clients[index]?.socket.end()),
  reset: (indexes: number[]) =>
    indexes.forEach((index) => void clients[index]?.socket.resetAndDestroy()),
  close: (indexes: number[]) => indexes.forEach((index) => void clients[index]?.socket.destroy()),
})

async function connect(
  client: Client,
  target: { host: string; port: number; localAddress: string },
  read: Reading,
  { path, body }: { path: string; body: number | undefined },
  protocol: string,
): Promise<void> {
  const take = (chunk: Buffer): void => note(client, chunk)
  if (protocol === 'http') {
    // `onread` hands over small pieces and stops when told: what is not asked for stays in the kernel.
    const buffer = Buffer.alloc(typeof read === 'object' ? Math.min(read.bytes, 65_536) : 65_536)
    client.socket = net.connect({
      ...target,
      onread: {
        buffer,
        callback: (count, data) => {
          take(Buffer.from(data.subarray(0, count)))
          return typeof read !== 'object'
        },
      },
    })
  } else {
    client.socket = tls.connect({
      ...target,
      rejectUnauthorized: false,
      ALPNProtocols: protocol === 'http2' ? ['h2'] : ['http/1.1'],
    })
    if (protocol === 'https') client.socket.on('data', take)
  }
  client.socket.on('error', () => {})
  client.socket.on('end', () => {
    client.ended = true
  })
  client.socket.on('close', () => {
    client.ended = true
    clearInterval(client.timer)
  })
  await new Promise<void>((resolve, reject) => {
    client.socket.once(protocol === 'http' ? 'connect' : 'secureConnect', () => resolve())
    client.socket.once('error', reject)
  })
  if (protocol === 'http2') {
    const session = http2.connect('https://rig', { createConnection: () => client.socket })
    session.on('error', () => {})
    const stream = session.request({ ':path': '/' })
    stream.on('error', () => {})
    stream.on('data', take)
    return
  }
  setReading(client, read)
  if (body === undefined) {
    const head = `GET ${path} HTTP/1.1\r\nHost: rig\r\nAccept: text/event-stream\r\n\r\n`
    client.socket.write(head)
  } else {
    client.socket.write(`POST / HTTP/1.1\r\nHost: rig\r\nContent-Length: ${body}\r\n\r\n`)
    client.socket.write(Buffer.alloc(body))
  }
}

function setReading(client: Client, reading: Reading): void {
  clearInterval(client.timer)
  if (reading === 'never') client.socket.pause()
  else client.socket.resume()
  if (typeof reading === 'object') {
    client.timer = setInterval(() => client.socket.resume(), reading.everyMs)
  }
}

function note(client: Client, chunk: Buffer): void {
  client.bytes += chunk.length
  const text = client.tail + chunk.toString('latin1')
  const lastLine = text.lastIndexOf('\n') + 1
  for (const match of text.slice(0, lastLine).matchAll(/^id: (\d+)$/gm)) {
    client.ticks.add(Number(match[1]))
  }
  client.tail = text.slice(lastLine).slice(-200)
}
