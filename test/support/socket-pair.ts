// Both ends of a connection, in this process.
import net, { type AddressInfo } from 'node:net'

export interface SocketPair {
  /** The accepted end. */
  readonly near: net.Socket
  readonly far: net.Socket
  /** All that `far` has read. */
  received(): string
}

/** Undone by the caller's `afterEach`. */
export async function socketPair(cleanup: (() => void)[]): Promise<SocketPair> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve))
  const far = net.connect((server.address() as AddressInfo).port, '127.0.0.1')
  let text = ''
  far.on('data', (chunk) => {
    text += chunk
  })
  const near = await accepted
  cleanup.push(() => {
    near.destroy()
    far.destroy()
    server.close()
  })
  return { near, far, received: () => text }
}
