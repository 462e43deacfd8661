// sse-channel ships no types: what the driver uses of it.
declare module 'sse-channel' {
  import type { EventEmitter } from 'node:events'
  import type { IncomingMessage, ServerResponse } from 'node:http'

  export default class SseChannel extends EventEmitter {
    addClient(req: IncomingMessage, res: ServerResponse): void
    send(message: { data: string }, clients?: readonly ServerResponse[]): void
    close(): void
  }
}
