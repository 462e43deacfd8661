// The narrow waist between a stream and whatever carries its bytes.
import type { Socket } from 'node:net'
import type { Lane } from './fast/lane.js'

/** What an outlet tells its stream. */
export interface OutletListener {
  /** There is room again after a `write` that returned `false`. */
  onDrain(): void
  /** What `write` took could not all be handed on: no more until `onDrain`. */
  onBlocked(): void
  /** The client has sent its end; the connection still stands, for a last look at it. */
  onPeerEnd(): void
  /** Nothing can be written any more: the response has ended or its connection is gone. */
  onClose(): void
}

/** Carries bytes to one client. It must report back-pressure: above it nobody else can. */
export interface Outlet {
  /** The connection beneath, where there is one that the kernel can be asked about. */
  readonly socket: Socket | undefined
  /** Whether the connection carries other responses at the same time. */
  readonly multiplexed: boolean
  /** Whether everything was handed over and the end was sent. */
  readonly finished: boolean
  /** Whether bytes can still be written: nobody has ended the response behind the stream's back. */
  readonly writable: boolean
  /** Whether the client was gone before the stream came. */
  readonly closed: boolean
  /** The error that ended the connection, where one is known. */
  readonly error: Error | undefined
  /** Bytes of this response that wait in user space, below the stream. */
  readonly pending: number
  /** Where the body begins in the connection's outgoing bytes; `undefined` where nobody can tell. */
  readonly start: number | undefined
  /** Where the last byte written ends there, by the outlet's own count; `undefined` once that was found wrong. */
  readonly position: number | undefined
  /** The short way for broadcasts, where there is one. */
  readonly lane: Lane | undefined
  /** Holds the outlet's count against Node's. To be asked before anything is concluded from `position`. */
  checkPosition(): void
  /**
   * Whether nothing of what was written waits for the client's kernel any more; `undefined` where nobody can tell.
   */
  isDrained(): boolean | undefined
  /**
   * Milliseconds for which this response's bytes have waited and none has moved. Called at every look.
   *
   * @param loopTime - a clock that stands while the event loop is blocked: what the client takes then is not seen
   * @param connection - the same of the connection as a whole
   */
  stalledFor(loopTime: number, connection: number): number
  /** Starts telling; called once. */
  listen(listener: OutletListener): void
  /** From now on the peer's end is of interest, because something is on its way to it. */
  expectPeerEnd(): void
  /**
   * Puts back what an application has removed with `removeAllListeners`, and tells what has been missed. Called at every look.
   *
   * @returns whether the response is gone
   */
  checkListeners?(): boolean
  /** Stops telling: after it no listener of ours is left on anything. */
  unlisten(): void
  /** Takes the bytes. `false`: taken, and no more until `onDrain`. */
  write(bytes: Buffer): boolean
  /**
   * Takes an event's text, where that can go at once; the same as `write` with its bytes, without making them.
   *
   * @returns how many bytes it makes; -1 where it has to go by `write`, and nothing has happened
   */
  writeText(text: string): number
  /** Throws away request data that nobody reads and that hides the client's FIN. Called now and then. */
  discardUnread(): void
  /** The server goes: the connection is to take no request after this one, which `end` ends. */
  hangUp?(): void
  /** Ends the response properly. */
  end(): void
  /** Gives the response up at once. `entirely`: and the connection with it, if others are on it too. */
  destroy(entirely: boolean): void
}
