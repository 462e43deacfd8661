// The words in which a stream answers.

/**
 * What became of an event: `sent` to the connection; `queued`, it waits because the client is behind; `dropped`
 * by the overflow policy; `closed`, the stream has ended and nothing was sent.
 */
export type SendResult = 'sent' | 'queued' | 'dropped' | 'closed'

/** `closing`: `close()` was called and bytes are still on their way. */
export type StreamState = 'open' | 'closing' | 'closed'

/** Bytes that wait for the client, by place. */
export interface BufferedBytes {
  /** In user space: the stream's own queue, Node and libuv. */
  readonly pending: number
  /** In the kernel, not sent. `undefined` where the kernel cannot be asked. */
  readonly unsent: number | undefined
  /** Sent, and not acknowledged by the client's kernel. */
  readonly unacked: number | undefined
}
