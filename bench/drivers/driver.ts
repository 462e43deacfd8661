// The interface that the trials need of a library. Each library has one file.
//
// A driver uses its library as its documentation says, unmodified, and keeps for each client only what an
// application would keep (`Handle`), so that memory figures are the library's and not the bench's.
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a send reports at once. `undefined`: nothing. */
export type Answer = 'sent' | 'queued' | 'dropped' | 'closed' | undefined

/**
 * How a sender uses a library:
 *
 * - `loop`: it sends, and only checks what `send` returns.
 * - `awaited`: it waits for what the library offers to wait for.
 * - `source`: it passes an async iterable, from which the library pulls.
 */
export type Form = 'loop' | 'awaited' | 'source'

/** A running server of one library. */
export interface Service<Handle> {
  readonly port: number
  /** For a trial that needs the socket or the response of a client. */
  readonly server: Server
  /** The request's path; every client sends `Accept: text/event-stream`. */
  readonly path: string
  /**
   * Connected clients, in the order of their arrival; empty if the library keeps them itself: see
   * `Need`.
   */
  readonly handles: ReadonlySet<Handle>
  /** The number of connected clients, if `handles` is empty. */
  connected?(): number
  /** The forms that this library has. */
  readonly forms: readonly Form[]
  /**
   * Sends to all clients, in the library's own way if it has one. A promise is the library's own.
   */
  broadcast(data: string): unknown
  /** Sends to one client. A promise is the library's own. */
  send(handle: Handle, data: string): Answer | Promise<unknown>
  /**
   * For `awaited` if `send` returns no promise: waits after the result `queued`. `false` ends the
   * sender.
   */
  room?(handle: Handle): Promise<unknown>
  /** For `source`. */
  pump?(handle: Handle, source: AsyncIterable<string>): Promise<unknown>
  /**
   * Bytes that the library reports to hold for a client, including Node's buffer; absent if it does
   * not report them.
   */
  held?(handle: Handle): number
  /** The library's own hook, with the reason if it gives one; `undefined` if it has none. */
  readonly onClose: ((handle: Handle, listener: (reason?: string) => void) => void) | undefined
  close(): Promise<void>
}

/** How an application uses its clients. */
export interface Need {
  /**
   * Whether it sends to individual clients. An application that only broadcasts keeps no list
   * beside the library's.
   */
  readonly individually: boolean
  /** The data of an event that each client is sent when its stream is open. */
  readonly greeting?: string | undefined
}

/** Starts a library's server on a free loopback port. */
export interface Driver<Handle = unknown> {
  serve(host: string, need?: Need): Promise<Service<Handle>>
}

/** Listens, and returns the port. */
export async function listen(server: Server, host: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port: 0, host, backlog: 4_096 }, resolve)
  })
  return (server.address() as AddressInfo).port
}

/** Closes a server and all its connections. */
export async function shut(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise<void>((resolve) => server.close(() => resolve()))
}
