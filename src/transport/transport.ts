// The interface to a response: ten members, and two capabilities that only some responses have.
import type { Socket } from 'node:net'
import type { GuardEnd } from '../internal/guard-ends.js'

/** Gets the events of a transport. */
export interface TransportListener {
  /** More can be written after a `write` that returned `false`. */
  onDrain(): void
  /** Some of the written bytes could not be passed on. Do not write more until `onDrain`. */
  onBlocked(): void
  /** The client has sent FIN. The connection still exists, so it can be sampled once more. */
  onPeerEnd(): void
  /** Nothing more can be written: the response has ended or its connection is gone. */
  onClose(): void
}

/** The state of a response at a sample of the monitor. */
export interface TransportSample {
  /**
   * A clock that stops while the event loop is blocked, because what the client accepts during that time is not
   * observed.
   */
  readonly loopTime: number
  /** Milliseconds for which bytes have waited on the whole connection without progress. */
  readonly stalledFor: number
  /** Whether to discard an unread request body, which may hide the client's FIN. */
  readonly discardBody: boolean
}

/** Carries bytes to one client. A transport must report back-pressure, because no layer above it can. */
export interface Transport {
  /** The connection of the response, if the kernel can be asked about it. */
  readonly socket: Socket | undefined
  /** Whether bytes can still be written: other code has not ended the response. */
  readonly writable: boolean
  /**
   * - `finished`: everything was passed on and the end was sent.
   * - an object: a guard ended it.
   * - `gone`: the response ended in any other way.
   */
  readonly over: 'finished' | 'gone' | GuardEnd | undefined
  /** Bytes of this response in user space, below the stream. */
  readonly buffered: number
  /** Present if the position of the response in the connection's bytes is known. */
  readonly ledger?: Ledger | undefined
  /** Present if bytes can bypass Node's streams. */
  readonly fast?: FastPath | undefined
  /** Sets the listener. `undefined` stops the calls and removes all of this library's listeners. */
  listen(listener: TransportListener | undefined): void
  /**
   * Checks what only the transport can see, and restores listeners that the application has removed.
   *
   * @returns milliseconds for which bytes of this response have waited without progress; `undefined` if the response is
   * gone
   */
  sample(sample: TransportSample): number | undefined
  /** Accepts the bytes. `false`: they were accepted, but do not write more until `onDrain`. */
  write(bytes: Buffer): boolean
  /** Ends the response properly. */
  end(): void
  /** Ends the response at once. With `entirely`, also ends the connection, even if it carries other responses. */
  destroy(entirely: boolean): void
  /** Called during a shutdown: the connection must not accept another request after this one. */
  closeConnectionAfter?(): void
}

/** The position of a response in the bytes of its connection, which it has to itself. */
export interface Ledger {
  /** Offset at which the body begins; `undefined` if unknown, as under TLS. */
  readonly start: number | undefined
  /**
   * Offset of the end of the last byte written, by this library's count; `undefined` once the count was found to be
   * wrong.
   */
  readonly position: number | undefined
  /** Compares the count with Node's. Call this before you use `position`. */
  check(): void
  /** Whether the client's kernel has acknowledged everything; `undefined` if unknown. */
  isAcknowledged(): boolean | undefined
  /** Starts to report the client's FIN, because data is on its way to the client. */
  watchPeerEnd(): void
}

/** The path past Node's streams: see fast/batch.ts for events of one stream, fast/cohort.ts for broadcasts. */
export interface FastPath {
  /** Its seat in a cohort, while it has one. */
  seat: Seat | undefined
  /**
   * Writes the text of an event, as `write` does with its bytes. On the direct path, no buffer is created.
   *
   * @returns the number of bytes; negative if they were accepted, but no more must be written until `onDrain`
   */
  writeText(text: string): number
  /**
   * Returns the descriptor if a cohort may send on it, else -1. It may if nothing waits and no code of the application
   * would be bypassed.
   */
  claimDescriptor(): number
  /** The cohort has sent this many bytes, as chunks. */
  credit(bytes: number): void
  /** The kernel did not accept this many of the bytes that are about to be credited. */
  holdBack(bytes: number): void
  /**
   * Writes the rest on the ordinary path, or ends the connection if `errno` is final.
   *
   * @param errno - negative if the kernel accepted nothing; 0 if it accepted a part
   * @returns whether the connection still exists
   */
  takeRest(rest: Buffer, errno: number): boolean
}

/** A member's seat in a cohort. */
export interface Seat {
  /** Credits the member with what the cohort has sent for it. */
  settle(): void
  /**
   * Does the same and removes the member, because other bytes are about to be written or the descriptor is about to be
   * closed.
   */
  leave(): void
}
