// Opens any source of events as an object that can be pulled from and stopped.
import type { Readable } from 'node:stream'
import type { ReadableStream, ReadableStreamDefaultReader } from 'node:stream/web'
import { TcpSseError } from '../internal/errors.js'
import type { EncodedEvent, EventInput } from '../sse/encode.js'

/** A source for `sendAll`: any iterable or stream of `EventInput`s or `EncodedEvent`s. */
export type EventIterable =
  | AsyncIterable<EventInput | EncodedEvent>
  | Iterable<EventInput | EncodedEvent>
  | ReadableStream<EventInput | EncodedEvent>
  | Readable

type Step = { done?: boolean | undefined; value?: unknown }

/** An open source. */
export interface Puller {
  /**
   * Returns the next event, synchronously if the source is synchronous. A source that throws is over and need not be
   * stopped.
   */
  next(): Step | PromiseLike<Step>
  /** Stops the source. Returns at once and never throws. */
  stop(): void
}

/**
 * Opens a source.
 *
 * @throws {TcpSseError} `ERR_SOURCE_INVALID` if it is not iterable, or is a locked stream
 */
export function openSource(source: unknown): Puller {
  if (typeof source !== 'object' && typeof source !== 'function') throw invalid()
  if (source === null) throw invalid()
  if ('getReader' in source) return openWebStream(source as ReadableStream)
  const { destroy } = source as Partial<Readable>
  // The iterator of a Readable answers `return()` only after a pending `next()`, but `destroy()` works at once.
  if (typeof destroy === 'function' && Symbol.asyncIterator in source) {
    const iterator = (source as Readable)[Symbol.asyncIterator]()
    return {
      next: () => iterator.next(),
      stop() {
        // A Readable that is still opening, such as a missing file, may fail after it was destroyed.
        quietly(() => (source as Readable).on?.('error', ignore))
        quietly(() => void destroy.call(source))
      },
    }
  }
  return new IteratorPuller(iteratorOf(source))
}

function openWebStream(stream: ReadableStream): Puller {
  let reader: ReadableStreamDefaultReader
  try {
    reader = stream.getReader()
  } catch (cause) {
    throw new TcpSseError(
      'ERR_SOURCE_INVALID',
      'The source is locked to another reader. Release that reader, or pass another stream.',
      {
        cause,
      },
    )
  }
  // A stream that has failed rejects `cancel` with the same error, and `closed`, too.
  const failure = reader.closed.then(
    () => undefined,
    (error: unknown) => ({ error }),
  )
  return {
    next: () => reader.read() as Promise<Step>,
    stop: () =>
      quietly(async () => {
        try {
          await reader.cancel()
        } catch (error) {
          if ((await failure)?.error !== error) throw error
        }
      }),
  }
}

function ignore(): void {}

function iteratorOf(source: object): Iterator<unknown> | AsyncIterator<unknown> {
  const { [Symbol.asyncIterator]: later, [Symbol.iterator]: now } = source as Partial<
    AsyncIterable<unknown> & Iterable<unknown>
  >
  if (typeof later === 'function') return later.call(source)
  if (typeof now === 'function') return now.call(source)
  throw invalid()
}

class IteratorPuller implements Puller {
  readonly #iterator: Iterator<unknown> | AsyncIterator<unknown>
  #pulling = false
  #stopWanted = false

  constructor(iterator: Iterator<unknown> | AsyncIterator<unknown>) {
    this.#iterator = iterator
  }

  next(): Step | PromiseLike<Step> {
    this.#pulling = true
    try {
      return this.#iterator.next()
    } finally {
      this.#pulling = false
      if (this.#stopWanted) this.stop()
    }
  }

  /**
   * Stops the iterator. A generator that ends the stream itself is still running, so it is stopped as soon as it has
   * yielded.
   */
  stop(): void {
    this.#stopWanted = this.#pulling
    if (!this.#pulling) quietly(() => this.#iterator.return?.())
  }
}

/** Whether a value is a promise of any library or realm. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function'
}

/** Runs the cleanup of a source. No result can report its failure any more, so a warning does. */
function quietly(action: () => unknown): void {
  const warn = (error: unknown): void =>
    process.emitWarning(`The source of sendAll failed when it was stopped: ${error}`, {
      code: 'TCP_SSE_SOURCE_STOP',
    })
  try {
    const result = action()
    if (isThenable(result)) result.then(undefined, warn)
  } catch (error) {
    warn(error)
  }
}

function invalid(): TcpSseError {
  return new TcpSseError(
    'ERR_SOURCE_INVALID',
    'sendAll needs an iterable, an async iterable, a Readable or a ReadableStream of events.',
  )
}
