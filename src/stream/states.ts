// The result and state types of a stream.

/**
 * The result of a send:
 * - `sent`: passed to the connection.
 * - `queued`: the event waits because the client is behind.
 * - `dropped`: the overflow policy dropped it.
 * - `closed`: the stream has ended or is ending; nothing was sent.
 */
export type SendResult = 'sent' | 'queued' | 'dropped' | 'closed'

/**
 * The state of a stream:
 * - `open`: events are accepted.
 * - `closing`: `close()` was called, and bytes are still in flight.
 * - `closed`: the stream has ended.
 */
export type StreamState = 'open' | 'closing' | 'closed'

/** Bytes that wait for the client, by place. */
export interface BufferedBytes {
  /** In user space: the stream's own queue, Node and libuv. */
  readonly pending: number
  /** In the kernel, not sent; `undefined` if the kernel cannot be asked. */
  readonly unsent: number | undefined
  /** Sent, but not acknowledged by the client's kernel; `undefined` if the kernel cannot be asked. */
  readonly unacked: number | undefined
}
