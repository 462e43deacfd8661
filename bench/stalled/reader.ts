// A client that sends its request, reads what comes first (the head) and never reads again. To TCP it is alive.
import net from 'node:net'
import { inspectSocket } from '../../src/index.js'

/** One such client. */
export interface StalledReader {
  /**
   * Bytes that its kernel has received and that are never read; `undefined` if the kernel cannot be
   * asked.
   */
  inReceiveBuffer(): number | undefined
  /** Vanishes: with bytes unread its kernel answers with RST. */
  destroy(): void
}

/**
 * Connects and sends the request. It does not wait for the head, because some servers send it with
 * the first event only.
 */
export async function stallAt(host: string, port: number, path: string): Promise<StalledReader> {
  let read = 0
  const socket = net.connect({
    host,
    port,
    // A small buffer and a callback that says "stop" keep everything after the head in the kernel.
    onread: {
      buffer: Buffer.alloc(2_048),
      callback(count) {
        read += count
        return false
      },
    },
  })
  socket.on('error', () => {})
  socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n`)
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  return {
    inReceiveBuffer() {
      const { bytesReceived } = inspectSocket(socket)
      return bytesReceived === undefined ? undefined : bytesReceived - read
    },
    destroy: () => socket.destroy(),
  }
}
