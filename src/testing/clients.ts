// The child process in which a rig's clients run: many, each with its own address.
import http2 from 'node:http2'
import { answer } from './child-process.js'
import { Reader, type Reading, type Received, type Target } from './reader.js'
import { requestFor } from './request.js'

/** Which clients to open. */
export interface OpenOptions {
  /** One client per address. */
  addresses: string[]
  host: string
  port: number
  path?: string | undefined
  headers?: Readonly<Record<string, string>> | undefined
  read?: Reading | undefined
  /** Sends a POST whose body has this many bytes. */
  body?: number | undefined
  /** Sent unchanged, in place of a request. */
  request?: string | undefined
  protocol?: 'http' | 'https' | 'http2' | undefined
}

const clients: Reader[] = []

const numbered = (index: number): Reader => clients[index] as Reader

answer({
  /** @returns the numbers of the new clients */
  async open(options: OpenOptions): Promise<number[]> {
    const { addresses, host, port, read = 'all', protocol = 'http' } = options
    const secure = SECURE[protocol]
    const opened = addresses.map(
      (localAddress) => new Reader({ host, port, localAddress, secure }, read),
    )
    const from = clients.push(...opened) - opened.length
    await Promise.all(opened.map((client) => ask(client, options)))
    return opened.map((_, index) => from + index)
  },
  /** The progress of each client. */
  status: () => clients.map(({ bytes, ended }) => ({ bytes, ended })),
  received: (index: number): Received => numbered(index).received,
  /** The first 4 000 characters that each client has received. */
  texts: () => clients.map(({ received }) => received.text.slice(0, 4_000)),
  /** The ids that one client has seen, as numbers. */
  ticks: (index: number) => numbered(index).ids.map(Number),
  read: (index: number, reading: Reading) => numbered(index).read(reading),
  halfClose: (indexes: number[]) => indexes.forEach((index) => void numbered(index).socket.end()),
  reset: (indexes: number[]) =>
    indexes.forEach((index) => void numbered(index).socket.resetAndDestroy()),
  close: (indexes: number[]) => indexes.forEach((index) => void numbered(index).socket.destroy()),
})

const SECURE: Record<NonNullable<OpenOptions['protocol']>, Target['secure']> = {
  http: undefined,
  https: 'http/1.1',
  http2: 'h2',
}

async function ask(client: Reader, options: OpenOptions): Promise<void> {
  await client.connected()
  const { path = '/', headers = {}, body, request, protocol } = options
  if (protocol === 'http2') askOverHttp2(client, path, headers)
  else client.socket.write(request ?? requestFor(path, headers, body))
  if (request === undefined && body !== undefined) client.socket.write(Buffer.alloc(body))
}

function askOverHttp2(client: Reader, path: string, headers: Readonly<Record<string, string>>) {
  const session = http2.connect('https://rig', { createConnection: () => client.socket })
  session.on('error', () => {})
  const stream = session.request({ ':path': path, ...headers })
  stream.on('error', () => {})
  stream.on('data', (chunk: Buffer) => client.take(chunk))
}
