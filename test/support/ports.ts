// Ports of our own servers and of other programs.
import net, { type AddressInfo } from 'node:net'

/** A server of net, http or http2, over TLS or not. */
export interface Listener {
  listen(port: number, host: string, listening: () => void): unknown
  address(): AddressInfo | string | null
  close(): unknown
  closeAllConnections?(): void
}

/** Listens on a free port, and returns it. */
export async function listenOn(server: Listener, host = '127.0.0.1'): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  return (server.address() as AddressInfo).port
}

/** A port that nobody listens on just now. */
export async function freePort(): Promise<number> {
  const server = net.createServer()
  const port = await listenOn(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Whether somebody listens there. */
export function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}
