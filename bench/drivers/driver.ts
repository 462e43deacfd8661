// What the trials need of a library, and nothing more: one file a library, all behind this interface.
//
// A driver uses its library as its documentation says, unmodified, and keeps for each client only what an
// application would keep (`Handle`), so that memory figures are the library's and not the bench's.
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a send told the sender at once. `undefined`: nothing at all. */
export type Answer = 'sent' | 'queued' | 'dropped' | 'closed' | undefined

/**
 * How a sender uses a library:
 * - `loop`: it sends and looks only at what `send` returns.
 * - `awaited`: it waits for what the library offers to wait for.
 * - `source`: it hands over an async iterable and lets the library pull.
 */
export type Form = 'loop' | 'awaited' | 'source'

/** A running server of one library. */
export interface Service<Handle> {
  readonly port: number
  /** Where a trial that wants a client's socket or response listens in. */
  readonly server: Server
  /** The request's path; every client sends `Accept: text/event-stream`. */
  readonly path: string
  /** Clients that are connected, in the order of their arrival; empty where the library keeps them itself: see `Need`. */
  readonly handles: ReadonlySet<Handle>
  /** How many clients are connected, where `handles` does not tell. */
  connected?(): number
  /** The forms that this library has. */
  readonly forms: readonly Form[]
  /** Sends to everybody, the library's own way where it has one. A promise is the library's own. */
  broadcast(data: string): unknown
  /** Sends to one. A promise is the library's own. */
  send(handle: Handle, data: string): Answer | Promise<unknown>
  /** For `awaited` where `send` returns no promise: waits after an answer of `queued`. `false` ends the sender. */
  room?(handle: Handle): Promise<unknown>
  /** For `source`. */
  pump?(handle: Handle, source: AsyncIterable<string>): Promise<unknown>
  /** Bytes that the library says it holds for a client, what Node holds included; absent where it does not say. */
  held?(handle: Handle): number
  /** The library's own hook, with the reason where it gives one. `undefined`: it has none. */
  readonly onClose: ((handle: Handle, listener: (reason?: string) => void) => void) | undefined
  close(): Promise<void>
}

/** What an application needs of its clients. */
export interface Need {
  /** To send to each one by itself. An application that only broadcasts keeps no list beside its library's. */
  readonly individually: boolean
  /** The data of an event that each client is sent as soon as its stream is open. */
  readonly greeting?: string | undefined
}

/** Starts a library's server on a free loopback port. */
export interface Driver<Handle = unknown> {
  serve(host: string, need?: Need): Promise<Service<Handle>>
}

/** Listens, and says where. */
export async function listen(server: Server, host: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port: 0, host, backlog: 4_096 }, resolve)
  })
  return (server.address() as AddressInfo).port
}

/** Closes a server and every connection that it has. */
export async function shut(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise<void>((resolve) => server.close(() => resolve()))
}
