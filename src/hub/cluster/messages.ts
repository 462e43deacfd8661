// What workers and the primary say to each other, and over what: a process's IPC channel, or a thread's port.
import type { ErrorCode } from '../../internal/errors.js'
import type { Entry, Keep, NewEntry, Page, Position } from '../hub.js'

/** Marks our messages among those of the application, which share the channel. */
export const MARK = 'tcp-sse:hub'

/** Feeds and requests are numbered by the worker. */
export type FromWorker =
  | { kind: 'open'; feed: number; channel: string; keep: Keep }
  | { kind: 'close'; feed: number }
  | { kind: 'publish'; feed: number; request: number; entry: NewEntry }
  | { kind: 'read'; feed: number; request: number; after: Position; upTo: Position; limit: number }
  /** The worker's listener can take more. */
  | { kind: 'taken'; feed: number; entries: number; bytes: number }

export type FromPrimary =
  | { kind: 'started'; feed: number; position: Position }
  | { kind: 'entries'; feed: number; entries: readonly Entry[]; bytes: number }
  | { kind: 'gap'; feed: number; after: Position; next: Position }
  | { kind: 'published'; request: number; position: Position }
  | { kind: 'page'; request: number; page: Page }
  | { kind: 'refused'; request: number; code: ErrorCode; message: string }

/** A message on its way, with the name of the hub. */
export interface Envelope<M> {
  readonly type: typeof MARK
  readonly hub: string
  readonly message: M
}

/** The message, if it is one of ours and for this hub. */
export function opened<M>(value: unknown, hub: string): M | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { type, hub: to, message } = value as Partial<Envelope<M>>
  return type === MARK && to === hub ? message : undefined
}

/** One end of a channel between two processes or threads: in order, nothing lost, until it is closed. */
export interface Line {
  /** Throws, or calls `failed`, where the other end is gone. */
  send(envelope: Envelope<FromWorker | FromPrimary>, failed: (error: Error) => void): void
  /** Returns what takes the listener away. */
  onMessage(listener: (value: unknown) => void): () => void
  /** Calls back once. Returns what takes the listener away. */
  onGone(listener: () => void): () => void
}

/** Bytes of an entry on its way, roughly. */
export function sizeOf({ text }: NewEntry): number {
  return text.length + 100
}
