import { brand, versionOf } from './shared.js'

/**
 * Every code that an error of this library can carry. `code` is the contract: messages may change.
 *
 * Errors are for callers' mistakes and for system calls that failed. What happens to a peer is a
 * result of `send` or the reason of a close, never an exception.
 */
export type ErrorCode =
  /** An option that does not exist; the message names the nearest one that does. */
  | 'ERR_OPTION_UNKNOWN'
  /** An option of the wrong type, such as `'10s'` for a duration. */
  | 'ERR_OPTION_TYPE'
  /** An option of the right type with a value that cannot be honoured, such as 0, -1 or NaN. */
  | 'ERR_OPTION_VALUE'
  /** `detectWithin` is so small that no kernel setting can keep the promise. */
  | 'ERR_DETECT_WITHIN_TOO_SMALL'
  /** Something that is no `net.Socket` (or has none) where a socket is needed. */
  | 'ERR_NOT_A_SOCKET'
  /** Something that is no request and response of a Node server. */
  | 'ERR_NOT_A_RESPONSE'
  /** Something that is no server of Node's. */
  | 'ERR_NOT_A_SERVER'
  /** A server that has a guard already. */
  | 'ERR_ALREADY_GUARDED'
  /** Something that is no `Request` of the web's. */
  | 'ERR_NOT_A_REQUEST'
  /** The response's head has already been sent, or the response has ended. */
  | 'ERR_HEADERS_SENT'
  /** The response has a status without a body (204, 205, 304, 1xx), so it cannot carry a stream. */
  | 'ERR_STATUS_WITHOUT_BODY'
  /** An event that cannot be encoded safely: a line break in its id, a fractional `retry`, … */
  | 'ERR_EVENT_INVALID'
  /** The kernel refused an option; `errno` and `syscall` say how. */
  | 'ERR_SOCKET_OPTION'
  /** The reason object of a stream that was closed because its peer fell silent. */
  | 'ERR_PEER_DEAD'
  /** The reason object of a stream that was closed because its client sent no echo. */
  | 'ERR_NO_ECHO'
  /** The reason object of a stream that was closed because its peer took no byte for too long. */
  | 'ERR_PEER_STALLED'
  /** `sendAll` was given something that events cannot be pulled from. */
  | 'ERR_SOURCE_INVALID'
  /** A channel was given something that is no stream of this library. */
  | 'ERR_NOT_A_STREAM'
  /** The stream is a subscriber of the channel already. */
  | 'ERR_SUBSCRIBED'
  /** The channel has been closed. */
  | 'ERR_CHANNEL_CLOSED'
  /** The engine of a channel's hub does not answer, or too much is pending: the event was not taken, or nothing was read. */
  | 'ERR_HUB_DOWN'
  /** The event was sent to the engine of a channel's hub, and no answer came: it may be in the log or not. */
  | 'ERR_PUBLISH_UNKNOWN'
  /** The hub has been closed. */
  | 'ERR_HUB_CLOSED'
  /** The error of a `Response` body whose stream was given up: aborted, stalled, or an overflow. */
  | 'ERR_STREAM_GIVEN_UP'
  /** The reason object of a stream whose queue outgrew `maxBufferedBytes` or `maxBufferedEvents`. */
  | 'ERR_OVERFLOW'
  /** The reason object of a stream that `drain` cut off at the end of its time. */
  | 'ERR_DRAIN_TIMEOUT'
  /** `drain` was given something that it does not know how to end. */
  | 'ERR_NOT_DRAINABLE'
  /** The reason of a stream's `signal`, as `code` and `name` of Node's own `AbortError`: the stream has ended. */
  | 'ABORT_ERR'
  /** Connections of other processes cannot be seen or ended here; the message says what is missing. */
  | 'ERR_SOCK_DIAG'
  /** `tcp-sse/dashboard`: the files of the page are not beside the library, as in most bundles. */
  | 'ERR_DASHBOARD_FILES'
  /** `tcp-sse/testing`: no rig can be made here, or a fault could not be set; the message has the command's words. */
  | 'ERR_RIG'
  /** `tcp-sse/testing`: a child process has ended, or could not do what it was asked for. */
  | 'ERR_CHILD'

/**
 * What every error of this library is. Match on `code`.
 *
 * @example
 * try {
 *   stream.send({ id: 'a\nb' })
 * } catch (error) {
 *   if (!(error instanceof TcpSseError) || error.code !== 'ERR_EVENT_INVALID') throw error
 * }
 */
export class TcpSseError extends Error {
  /** Also true for errors of another copy of this library, such as ESM and CommonJS in one process. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return versionOf(value, 'TcpSseError') !== undefined
  }

  /** What it is about; the contract. */
  readonly code: ErrorCode
  /** The option or field that was wrong, where there is one. */
  readonly option?: string
  /** The negative error number of a failed system call, as in Node's own errors. */
  readonly errno?: number
  /** The system call that failed. */
  readonly syscall?: string

  constructor(
    code: ErrorCode,
    message: string,
    details: { option?: string; errno?: number; syscall?: string; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'TcpSseError'
    this.code = code
    if (details.option !== undefined) this.option = details.option
    if (details.errno !== undefined) this.errno = details.errno
    if (details.syscall !== undefined) this.syscall = details.syscall
  }
}

brand(TcpSseError, 'TcpSseError')

/** What was thrown, as an error; `undefined` stays so. */
export function asError(reason: unknown): Error | undefined {
  if (reason === undefined || reason instanceof Error) return reason
  return new Error(String(reason), { cause: reason })
}
