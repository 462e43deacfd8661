// What is needed of a NATS client library: its connection, and publishing with an id. The rest is JetStream's own protocol (requests and
// answers in JSON), because the library's consumers are silent about a stream that has been made anew.
import { wrongType } from '../../internal/validate.js'

/** What `natsHub` takes: `jetstream(connection)` of @nats-io/jetstream 3. */
export interface JetStreamLike {
  /** Publishes a message, and settles with the server's answer. */
  publish(
    subject: string,
    payload: string,
    options: { msgID: string; timeout: number; retries: number },
  ): Promise<JetStreamAck>
}

/** The answer to a message that the stream has. */
export interface JetStreamAck {
  /** The message's number in the stream. */
  readonly seq: number
}

/** A message as it came. */
export interface Message {
  readonly subject: string
  readonly reply?: string
  readonly headers?: { readonly code: number; get(name: string): string }
  string(): string
}

/** The connection beneath. */
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

/** A client, and what it is over. */
export interface NatsClient {
  readonly js: JetStreamLike
  readonly connection: Connection
  /** Of the JetStream API's subjects. */
  readonly api: string
}

/** Knows a client by its methods. @throws {TcpSseError} `ERR_OPTION_TYPE` */
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
