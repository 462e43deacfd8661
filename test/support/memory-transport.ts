// A transport into memory, for the logic above transports: what the client has, and room as the test says.
import type { Transport, TransportListener } from '../../src/transport/transport.js'

export class MemoryTransport implements Transport {
  readonly socket = undefined
  readonly buffered = 0
  over: 'finished' | 'gone' | undefined
  writable = true
  text = ''
  /** Writes that are taken before there is no room. */
  room = Number.POSITIVE_INFINITY
  #listener: TransportListener | undefined

  listen(listener: TransportListener | undefined): void {
    this.#listener = listener
  }

  sample(): number {
    return 0
  }

  write(bytes: Buffer): boolean {
    this.text += bytes.toString()
    this.room -= 1
    return this.room > 0
  }

  /** Makes room for so many writes. */
  drain(room: number): void {
    this.room = room
    if (room > 0) this.#listener?.onDrain()
  }

  /** The client goes. */
  leave(): void {
    this.writable = false
    this.over ??= 'gone'
    this.#listener?.onClose()
  }

  end(): void {
    this.over = 'finished'
    this.leave()
  }

  destroy(): void {
    this.writable = false
  }
}
