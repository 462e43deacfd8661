// The interface of a stream for applications.

import type { Verdict } from '../liveness/verdict.js'
import type { EncodedEvent, EventInput } from '../sse/encode.js'
import type { SocketSnapshot } from '../tcp/info.js'
import type { CloseInfo } from './close-info.js'
import type { Delivered, DeliveryOutcome } from './delivery-log.js'
import type { Dropped } from './queue.js'
import type { EventIterable } from './source.js'
import type { BufferedBytes, SendResult, StreamState } from './states.js'
import type { SendAllOptions, SendAllResult } from './transfer.js'

/** The event stream of one client. Created by `createEventStream`. */
export interface EventStream {
  /** The `Last-Event-ID` that the client sent; `''` if it sent none. */
  readonly lastEventId: string

  /** The state of the stream. */
  readonly state: StreamState

  /** Resolves once, when the stream has ended, with the reason. Never rejects. */
  readonly closed: Promise<CloseInfo>

  /**
   * Aborted when the stream has ended. Its `reason` is a `StreamClosedError`, which is an `AbortError` with the
   * `CloseInfo`. Pass it to `fetch`, timers or database cursors.
   */
  readonly signal: AbortSignal

  /** The monitor's latest verdict about the client. */
  readonly verdict: Verdict

  /**
   * The time of the client's last echo in `Date.now()` milliseconds; `undefined` before the first, and without the
   * option `echo`.
   */
  readonly lastEcho: number | undefined

  /** The events that the overflow policy has dropped so far. */
  readonly dropped: Dropped

  /**
   * Sends an event. Never throws because of the client; its state is in the result.
   *
   * @throws {TcpSseError} `ERR_EVENT_INVALID` while the stream is open; nothing was sent. Errors of the serializer pass
   * through.
   */
  send(event: EventInput | EncodedEvent): SendResult

  /**
   * Sends an event as `send` does. The promise resolves when the client's kernel has acknowledged the event, when the
   * overflow policy drops it, or when the stream ends. If delivery cannot be known, it resolves with `'unknown'` as soon
   * as the event has been passed to the connection: see `DeliveryOutcome`.
   *
   * @throws {TcpSseError} Rejects with the errors that `send` throws.
   * @example
   * const outcome = await stream.sendConfirmed({ id: '7', data: 'paid' })
   * if (outcome !== 'delivered') console.warn('order 7:', outcome)
   */
  sendConfirmed(event: EventInput | EncodedEvent): Promise<DeliveryOutcome>

  /**
   * Sends a comment, which clients ignore.
   *
   * @throws {TcpSseError} `ERR_EVENT_INVALID` if `text` is not a string
   */
  comment(text: string): SendResult

  /**
   * Waits until an event would be sent at once. Resolves with `true` when this is the case, and with `false` when the
   * stream is ending or has ended. Resolves exactly once and never rejects. Any number of callers may wait.
   */
  writable(): Promise<boolean>

  /**
   * Sends all events of a source at the client's pace: nothing is pulled while the client is behind. When the stream
   * ends, the source is stopped in the same tick (`return()`, `destroy()`, `cancel()`), even if it is not being pulled
   * from. An error that the source throws is in the result.
   *
   * @param options - `signal` stops the transfer and the source; the stream stays open
   * @throws {TcpSseError} Rejects with `ERR_SOURCE_INVALID` or `ERR_OPTION_*`; nothing was pulled.
   * @example
   * const { sent, reason } = await stream.sendAll(rows, { signal: AbortSignal.timeout(60_000) })
   */
  sendAll(source: EventIterable, options?: SendAllOptions): Promise<SendAllResult>

  /**
   * The id of the last event that the client has reported as processed: its code has read the event from the response
   * and requested more. This is end to end, through any proxy, and as recent as the last echo. `undefined` before the
   * first, and without the option `echo`.
   */
  readonly confirmedId: string | undefined

  /** What the client's kernel has acknowledged so far; `undefined` if this is unknown. */
  delivered(): Delivered | undefined

  /**
   * The outcome of the latest event with this id. Resolves as `sendConfirmed` does. Resolves with `'unknown'` also for
   * an id that was never sent or has been forgotten.
   */
  delivery(id: string): Promise<DeliveryOutcome>

  /**
   * Ends the stream gracefully: queued events are sent, and the response ends when the client's kernel has acknowledged
   * everything. Returns `closed`. A slow client gets the time that it needs; a client that reads nothing is closed with
   * reason `stalled`.
   */
  close(): Promise<CloseInfo>

  /** Ends the stream at once and discards what waits. The reason is `aborted`. */
  abort(error?: Error): void

  /** Bytes that wait for the client, by place. On HTTP/2, the bytes in the kernel are those of the whole connection. */
  buffered(): BufferedBytes

  /** What the kernel knows about the connection now; `undefined` if there is no socket to read. */
  inspect(): SocketSnapshot | undefined
}
