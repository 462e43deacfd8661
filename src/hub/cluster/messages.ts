// The messages between workers and the primary, and the interface of what carries them: a process's
// IPC channel, or a thread's port.
import type { ErrorCode } from '../../internal/errors.js'
import type { Entry, Keep, NewEntry, Page, Position } from '../hub.js'

/** Marks the library's messages. The application's messages share the channel. */
export const MARK = 'tcp-sse:hub'

/** Messages of a worker. The worker numbers its feeds and requests. */
export type FromWorker =
  | { kind: 'open'; feed: number; channel: string; keep: Keep }
  | { kind: 'close'; feed: number }
  | { kind: 'publish'; feed: number; request: number; entry: NewEntry }
  | { kind: 'read'; feed: number; request: number; after: Position; upTo: Position; limit: number }
  /** The worker's listener is ready for more. */
  | { kind: 'taken'; feed: number; entries: number; bytes: number }

export type FromPrimary =
  | { kind: 'started'; feed: number; position: Position }
  | { kind: 'entries'; feed: number; entries: readonly Entry[]; bytes: number }
  | { kind: 'gap'; feed: number; after: Position; next: Position }
  | { kind: 'published'; request: number; position: Position }
  | { kind: 'page'; request: number; page: Page }
  | { kind: 'refused'; request: number; code: ErrorCode; message: string }

/** A message with the name of its hub. */
export interface Envelope<M> {
  readonly type: typeof MARK
  readonly hub: string
  readonly message: M
}

/** The message, if it is the library's and for this hub. */
export function opened<M>(value: unknown, hub: string): M | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { type, hub: to, message } = value as Partial<Envelope<M>>
  return type === MARK && to === hub ? message : undefined
}

/**
 * One end of a connection between two processes or threads. Messages arrive in order and without
 * loss until it is closed.
 */
export interface Line {
  /** Throws, or calls `failed`, if the other end is gone. */
  send(envelope: Envelope<FromWorker | FromPrimary>, failed: (error: Error) => void): void
  /** Returns a function that removes the listener. */
  onMessage(listener: (value: unknown) => void): () => void
  /** Calls back once. Returns a function that removes the listener. */
  onGone(listener: () => void): () => void
}

/** The approximate size of an entry in flight, in bytes. */
export function sizeOf({ text }: NewEntry): number {
  return text.length + 100
}
