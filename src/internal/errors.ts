import { brand, versionOf } from './shared.js'

/**
 * The `code` of every `TcpSseError`. The code is the contract; messages may change in any release.
 *
 * Errors report mistakes of the caller, failed system calls, and hubs that do not answer. What happens to a peer is a
 * result of `send` or a close reason, never an exception.
 */
export type ErrorCode =
  /** An unknown option. The message suggests a known name that is spelled much like it, or lists all. */
  | 'ERR_OPTION_UNKNOWN'
  /** An option of the wrong type, such as `'10s'` for a duration. */
  | 'ERR_OPTION_TYPE'
  /** An option of the right type with a value outside its range, such as 0, -1 or NaN. */
  | 'ERR_OPTION_VALUE'
  /** `detectWithin` is so small that no kernel setting can guarantee it. */
  | 'ERR_DETECT_WITHIN_TOO_SMALL'
  /** The value is not a `net.Socket`. */
  | 'ERR_NOT_A_SOCKET'
  /** The values are not the request and response of a Node server. */
  | 'ERR_NOT_A_RESPONSE'
  /** The value is not a Node server. */
  | 'ERR_NOT_A_SERVER'
  /** The server already has a guard. */
  | 'ERR_ALREADY_GUARDED'
  /** The value is not a Web `Request`. */
  | 'ERR_NOT_A_REQUEST'
  /** The response has already sent its head or has ended. */
  | 'ERR_HEADERS_SENT'
  /** The response has a status without a body (204, 205, 304, 1xx), so it cannot carry a stream. */
  | 'ERR_STATUS_WITHOUT_BODY'
  /**
   * The event cannot be encoded safely (it has a line break in its id, a fractional `retry`, and so on), or the hub of a
   * channel does not accept it.
   */
  | 'ERR_EVENT_INVALID'
  /** The kernel rejected an option; `errno` and `syscall` say how. */
  | 'ERR_SOCKET_OPTION'
  /** `error` of a stream that was closed because its peer was silent for too long. */
  | 'ERR_PEER_DEAD'
  /** `error` of a stream that was closed because its client sent no echo. */
  | 'ERR_NO_ECHO'
  /** `error` of a stream that was closed because its peer accepted no byte for `stallTimeout`. */
  | 'ERR_PEER_STALLED'
  /** The value passed to `sendAll` is not a source of events. */
  | 'ERR_SOURCE_INVALID'
  /** The value passed to a channel is not a stream of this library. */
  | 'ERR_NOT_A_STREAM'
  /** The stream is already subscribed to the channel. */
  | 'ERR_SUBSCRIBED'
  /** The channel has been closed. */
  | 'ERR_CHANNEL_CLOSED'
  /**
   * The engine of a hub does not answer, or too many requests are pending. The event was not published, or nothing was
   * read.
   */
  | 'ERR_HUB_DOWN'
  /** The event was sent to the engine of a hub, but no answer arrived. The event may or may not be in the log. */
  | 'ERR_PUBLISH_UNKNOWN'
  /** The hub has been closed. */
  | 'ERR_HUB_CLOSED'
  /**
   * The error of a `Response` body whose stream was aborted, stalled, overflowed or cut off, on a server that does not
   * expose Node's response.
   */
  | 'ERR_STREAM_GIVEN_UP'
  /** `error` of a stream whose queue exceeded `maxBufferedBytes` or `maxBufferedEvents`. */
  | 'ERR_OVERFLOW'
  /** `error` of a stream that `drain` cut when its `timeout` expired or its `signal` aborted. */
  | 'ERR_DRAIN_TIMEOUT'
  /** `drain` cannot end the value that was passed. */
  | 'ERR_NOT_DRAINABLE'
  /** The reason of a stream's `signal`, with `code` and `name` of Node's own `AbortError`: the stream has ended. */
  | 'ABORT_ERR'
  /** Connections of other processes cannot be read or ended on this system; the message says what is missing. */
  | 'ERR_SOCK_DIAG'
  /** `tcp-sse/dashboard`: the files of the page are not next to the library, as in most bundles. */
  | 'ERR_DASHBOARD_FILES'
  /**
   * `tcp-sse/testing`: a rig cannot be created on this system, or a fault could not be set. The message has the
   * command's output.
   */
  | 'ERR_RIG'
  /** `tcp-sse/testing`: a child process has ended or could not do what was requested. */
  | 'ERR_CHILD'

/**
 * The class of all errors of this library. Match on `code`.
 *
 * @example
 * try {
 *   stream.send({ id: 'a\nb' })
 * } catch (error) {
 *   if (!(error instanceof TcpSseError) || error.code !== 'ERR_EVENT_INVALID') throw error
 * }
 */
export class TcpSseError extends Error {
  /** Also true for errors of another copy of this library, such as the ESM and CommonJS builds in one process. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: a subclass inherits this method
    return isInstance(this, value)
  }

  /** The error code: the part of an error that stays stable. */
  readonly code: ErrorCode
  /** The invalid option, if the error is about one. */
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
    // As its user writes it: without the type of the options object, as in `echo.beat`.
    if (details.option !== undefined) this.option = details.option.replace(/^[A-Z]\w*\./, '')
    if (details.errno !== undefined) this.errno = details.errno
    if (details.syscall !== undefined) this.syscall = details.syscall
  }
}

brand(TcpSseError, 'TcpSseError')

/** A subclass of an application has only its own instances. */
function isInstance(type: unknown, value: unknown): boolean {
  if (type === TcpSseError) return versionOf(value, 'TcpSseError') !== undefined
  return Function.prototype[Symbol.hasInstance].call(type, value)
}

/** Converts a thrown value to an error. `undefined` stays `undefined`. */
export function asError(reason: unknown): Error | undefined {
  if (reason === undefined || reason instanceof Error) return reason
  return new Error(String(reason), { cause: reason })
}
