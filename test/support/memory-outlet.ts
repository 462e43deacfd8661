// An outlet into memory, for the logic above outlets: what the client has, and room as the test says.
import type { Outlet, OutletListener } from '../../src/transport/transport.js'

export class MemoryOutlet implements Outlet {
  readonly socket = undefined
  readonly multiplexed = false
  readonly error = undefined
  readonly pending = 0
  readonly start = undefined
  readonly position = undefined
  readonly lane = undefined
  finished = false
  writable = true
  closed = false
  text = ''
  /** Writes that are taken before there is no room. */
  room = Number.POSITIVE_INFINITY
  #listener: OutletListener | undefined

  listen(listener: OutletListener): void {
    this.#listener = listener
  }

  unlisten(): void {
    this.#listener = undefined
  }

  write(bytes: Buffer): boolean {
    this.text += bytes.toString()
    this.room -= 1
    return this.room > 0
  }

  writeText(): number {
    return -1
  }

  /** Makes room for so many writes. */
  drain(room: number): void {
    this.room = room
    if (room > 0) this.#listener?.onDrain()
  }

  /** The client goes. */
  leave(): void {
    this.writable = false
    this.#listener?.onClose()
  }

  end(): void {
    this.finished = true
    this.leave()
  }

  destroy(): void {
    this.writable = false
  }

  isDrained(): undefined {
    return undefined
  }

  stalledFor(): number {
    return 0
  }

  checkPosition(): void {}

  expectPeerEnd(): void {}

  discardUnread(): void {}
}
