// One client, as the application sees it.

import type { Verdict } from '../liveness/verdict.js'
import type { EncodedEvent, EventInput } from '../sse/encode.js'
import type { SocketSnapshot } from '../tcp/info.js'
import type { CloseInfo } from './close-info.js'
import type { Delivered, DeliveryOutcome } from './delivery-log.js'
import type { Dropped } from './queue.js'
import type { EventIterable } from './source.js'
import type { BufferedBytes, SendResult, StreamState } from './states.js'
import type { SendAllOptions, SendAllResult } from './transfer.js'

/** One client's event stream. Made by `createEventStream`. */
export interface EventStream {
  /** The `Last-Event-ID` that the client sent, `''` for none. */
  readonly lastEventId: string

  /** Where the stream is in its life. */
  readonly state: StreamState

  /** Settles once, when the stream has ended, with the reason. Never rejects. */
  readonly closed: Promise<CloseInfo>

  /**
   * Aborted when the stream has ended; its `reason` is a `StreamClosedError`, an `AbortError` with the `CloseInfo`. For
   * `fetch`, timers, database cursors.
   */
  readonly signal: AbortSignal

  /** What the monitor last made of the client. */
  readonly verdict: Verdict

  /** When the client's last echo came, `Date.now()` milliseconds; `undefined` for none, and without the option `echo`. */
  readonly lastEcho: number | undefined

  /** What the overflow policy has dropped so far. */
  readonly dropped: Dropped

  /**
   * Sends an event. Never throws because of the client: that is a result.
   *
   * @throws {TcpSseError} `ERR_EVENT_INVALID` while the stream is open, and nothing was sent; what the serializer throws
   * passes through
   */
  send(event: EventInput | EncodedEvent): SendResult

  /**
   * Sends an event as `send` does. The promise settles when the client's kernel has acknowledged the event, or when it is
   * known that it never will. It gives `'unknown'` at once where that cannot be known: see `DeliveryOutcome`.
   *
   * @throws {TcpSseError} as `send` does, as a rejection
   * @example
   * const outcome = await stream.sendConfirmed({ id: '7', data: 'paid' })
   * if (outcome !== 'delivered') console.warn('order 7:', outcome)
   */
  sendConfirmed(event: EventInput | EncodedEvent): Promise<DeliveryOutcome>

  /**
   * Sends a comment, which clients ignore.
   *
   * @throws {TcpSseError} `ERR_EVENT_INVALID` for something that is no string
   */
  comment(text: string): SendResult

  /**
   * Whether an event would be sent at once: `true` as soon as there is room, `false` when the stream has ended or is
   * ending. Settles in any case, once; never rejects. Any number of callers may wait.
   */
  writable(): Promise<boolean>

  /**
   * Sends all that a source yields, at the client's pace: nothing is pulled while there is no room. When the stream ends
   * the source is stopped in the same tick (`return()`, `destroy()`, `cancel()`), also one that nobody was pulling from.
   * What the source throws is in the result.
   *
   * @param options - `signal` stops the transfer and the source; the stream stays open
   * @throws {TcpSseError} `ERR_SOURCE_INVALID`, `ERR_OPTION_*`, as a rejection, and nothing was pulled
   * @example
   * const { sent, reason } = await stream.sendAll(rows, { signal: AbortSignal.timeout(60_000) })
   */
  sendAll(source: EventIterable, options?: SendAllOptions): Promise<SendAllResult>

  /**
   * The id of the last event that the client says it has processed: its code has taken the event from the response and asked
   * for more. End to end, through any proxy, and as old as the last echo. `undefined` for none, and without the option `echo`.
   */
  readonly confirmedId: string | undefined

  /** What the client's kernel has acknowledged, as of now; `undefined` where that cannot be known. */
  delivered(): Delivered | undefined

  /**
   * What becomes of the latest event with this id: settles as `sendConfirmed` does. `'unknown'` also for an id
   * that was never sent, or so long ago that it is forgotten.
   */
  delivery(id: string): Promise<DeliveryOutcome>

  /**
   * Ends the stream properly: what waits is sent, and the response ends when the client's kernel has acknowledged it.
   * Returns `closed`. A client that reads slowly takes its time; one that does not read is `stalled`.
   */
  close(): Promise<CloseInfo>

  /** Ends the stream at once, whatever waits; reason `aborted`. */
  abort(error?: Error): void

  /** Bytes that wait for the client, by place. On HTTP/2 those in the kernel are the connection's. */
  buffered(): BufferedBytes

  /** What the kernel knows about the connection now; `undefined` where there is no socket to ask about. */
  inspect(): SocketSnapshot | undefined
}
