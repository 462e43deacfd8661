// A response as something to write to: ten members, and two capabilities that only some responses have.
import type { Socket } from 'node:net'

/** What a transport tells its stream. */
export interface TransportListener {
  /** There is room again after a `write` that returned `false`. */
  onDrain(): void
  /** What `write` took could not all be handed on: no more until `onDrain`. */
  onBlocked(): void
  /** The client has sent its end; the connection still stands, for a last look at it. */
  onPeerEnd(): void
  /** Nothing can be written any more: the response has ended or its connection is gone. */
  onClose(): void
}

/** A response at a look of the monitor. */
export interface TransportSample {
  /** A clock that stands while the event loop is blocked: what the client takes then is not seen. */
  readonly loopTime: number
  /** Milliseconds for which bytes have waited on the connection as a whole and none has moved. */
  readonly stalledFor: number
  /** Whether a request body that nobody has begun to read is to be discarded: it may hide the client's FIN. */
  readonly discardBody: boolean
}

/** Carries bytes to one client. It must report backpressure: no layer above can. */
export interface Transport {
  /** The connection beneath, where there is one that the kernel can be asked about. */
  readonly socket: Socket | undefined
  /** Whether bytes can still be written: the response has not been ended behind the stream's back. */
  readonly writable: boolean
  /** `finished`: everything was handed over and the end was sent. `gone`: it ended in any other way. */
  readonly over: 'finished' | 'gone' | undefined
  /** Bytes of this response that wait in user space, below the stream. */
  readonly buffered: number
  /** Present where the response's place in the connection's bytes is known. */
  readonly ledger?: Ledger | undefined
  /** Present where bytes can go to the kernel past Node's streams. */
  readonly fast?: FastPath | undefined
  /** Starts to call the listener; `undefined` stops it, and leaves no listener of ours on anything. */
  listen(listener: TransportListener | undefined): void
  /**
   * Checks what only the transport sees, and puts back listeners that an application has removed.
   *
   * @returns milliseconds for which this response's bytes have waited and none has moved; `undefined`: it is gone
   */
  sample(look: TransportSample): number | undefined
  /** Takes the bytes. `false`: taken, and no more until `onDrain`. */
  write(bytes: Buffer): boolean
  /** Ends the response properly. */
  end(): void
  /** Gives the response up at once. `entirely`: and the connection with it, if others are on it too. */
  destroy(entirely: boolean): void
  /** The server shuts down: the connection is to take no request after this one. */
  closeConnectionAfter?(): void
}

/** A response's place in the bytes of a connection that is its own while it lasts. */
export interface Ledger {
  /** Where the body begins; `undefined` where that is not known, as under TLS. */
  readonly start: number | undefined
  /** Where the last byte written ends, by our own count; `undefined` once that was found wrong. */
  readonly position: number | undefined
  /** Compares our count with Node's. To be called before anything is concluded from `position`. */
  check(): void
  /** Whether the client's kernel has acknowledged everything; `undefined` where that cannot be known. */
  isAcknowledged(): boolean | undefined
  /** Starts to report the client's FIN, because something is on its way to it. */
  watchPeerEnd(): void
}

/** The way past Node's streams: see fast/batch.ts for events of one stream, fast/cohort.ts for broadcasts. */
export interface FastPath {
  /** Its place in a cohort, while it has one. */
  seat: Seat | undefined
  /**
   * Writes an event's text, like `write` with its bytes, without making them where it goes directly.
   *
   * @returns how many bytes it makes; negative: taken, and no more until `onDrain`
   */
  writeText(text: string): number
  /** Whether a cohort may send here: nothing waits, and nothing of the application's would be left out. Returns the descriptor, or -1. */
  claimDescriptor(): number
  /** The cohort has sent so many bytes, as chunks. */
  credit(bytes: number): void
  /** So many of the bytes that are about to be credited were not taken by the kernel. */
  holdBack(bytes: number): void
  /**
   * Writes those the ordinary way, or ends the connection where `errno` is final.
   *
   * @param errno - why nothing was taken, negative; 0 where the kernel has taken a part
   * @returns whether the connection lives on
   */
  takeRest(rest: Buffer, errno: number): boolean
}

/** A member's place in a cohort. */
export interface Seat {
  /** Has the member told what the cohort has sent it. */
  settle(): void
  /** The same, and takes it out: something else is about to be written, or the descriptor to be closed. */
  leave(): void
}
