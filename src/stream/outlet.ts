// The narrow waist between a stream and whatever carries its bytes.
import type { Socket } from 'node:net'

/** What an outlet tells its stream. */
export interface OutletListener {
  /** There is room again after a `write` that returned `false`. */
  onDrain(): void
  /** Nothing can be written any more: the response has ended or its connection is gone. */
  onClose(): void
}

/** Carries bytes to one client. It must report back-pressure: above it nobody else can. */
export interface Outlet {
  /** The connection beneath, where there is one that the kernel can be asked about. */
  readonly socket: Socket | undefined
  /** Whether everything was handed over and the end was sent. */
  readonly finished: boolean
  /** Whether bytes can still be written: nobody has ended the response behind the stream's back. */
  readonly writable: boolean
  /** Whether the client was gone before the stream came. */
  readonly closed: boolean
  /** The error that ended the connection, where one is known. */
  readonly error: Error | undefined
  /** Starts telling; called once. */
  listen(listener: OutletListener): void
  /** Stops telling: after it no listener of ours is left on anything. */
  unlisten(): void
  /** Takes the bytes. `false`: taken, and no more until `onDrain`. */
  write(bytes: Buffer): boolean
  /** Throws away request data that nobody reads and that hides the client's FIN. Called now and then. */
  discardUnread(): void
  /** Ends the response properly. */
  end(): void
  /** Gives the response up at once. */
  destroy(): void
}
