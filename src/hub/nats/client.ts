// What this hub needs of a NATS client library: its connection, and publishing with an id. The rest
// is JetStream's own protocol (requests and replies in JSON), because the library's consumers do
// not report a stream that was made anew.
import { wrongType } from '../../internal/validate.js'

/** What `natsHub` accepts: `jetstream(connection)` of @nats-io/jetstream 3. */
export interface JetStreamLike {
  /** Publishes a message. Settles with the server's answer. */
  publish(
    subject: string,
    payload: string,
    options: { msgID: string; timeout: number; retries: number },
  ): Promise<JetStreamAck>
}

/** The answer to a message that was stored. */
export interface JetStreamAck {
  /** The message's number in the stream. */
  readonly seq: number
}

/** A message that was received. */
export interface Message {
  readonly subject: string
  readonly reply?: string
  readonly headers?: { readonly code: number; get(name: string): string }
  string(): string
}

/** The connection of the client. */
export interface Connection {
  readonly info?: { readonly max_payload?: number }
  request(subject: string, payload: string, options: { timeout: number }): Promise<Message>
  subscribe(
    subject: string,
    options: { callback: (error: Error | null, message: Message) => void },
  ): { unsubscribe(): void }
  publish(subject: string, payload?: string, options?: { reply: string }): void
  status(): AsyncIterable<{ readonly type: string }>
  isClosed(): boolean
  reconnect?(): Promise<void>
}

/** A client and its connection. */
export interface NatsClient {
  readonly js: JetStreamLike
  readonly connection: Connection
  /** The prefix of the JetStream API's subjects. */
  readonly api: string
}

/** Recognizes a client by its methods. @throws {TcpSseError} `ERR_OPTION_TYPE` */
export function clientOf(value: unknown): NatsClient {
  const js = value as (JetStreamLike & { nc?: Connection; prefix?: string }) | null
  const fits =
    typeof js === 'object' &&
    js !== null &&
    typeof js.publish === 'function' &&
    typeof js.nc?.request === 'function' &&
    typeof js.nc.status === 'function'
  if (!fits) throw wrongType('js', 'jetstream(connection) of @nats-io/jetstream 3', value)
  return { js, connection: js.nc as Connection, api: js.prefix ?? '$JS.API' }
}
