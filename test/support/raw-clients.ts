// Clients that send a text and read whatever comes.
import net from 'node:net'
import { answer } from './rpc.js'

interface RawClient {
  socket: net.Socket
  text: string
}

const clients: RawClient[] = []

answer({
  /** Connects from an address and sends a request; returns the client's number. */
  open(target: { host: string; port: number; localAddress: string }, request: string): number {
    const client: RawClient = { socket: net.connect(target), text: '' }
    client.socket.on('error', () => {})
    client.socket.on('data', (chunk) => {
      client.text = (client.text + chunk.toString('latin1')).slice(0, 4_000)
    })
    client.socket.write(request)
    return clients.push(client) - 1
  },
  /** The beginning of what each has got. */
  texts: () => clients.map(({ text }) => text),
})
