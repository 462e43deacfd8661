// MCP's Streamable HTTP over our streams: the protocol is the SDK's, each of its responses an `EventStream`.
//
// Every call has a channel with a history: what is said while its client is away waits there, and a client that comes back
// with an id is sent what it has missed. Ids are `CALL.NUMBER`, so they say whose stream goes on.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Transport, TransportSendOptions } from '@modelcontextprotocol/sdk/shared/transport.js'
import {
  isInitializeRequest,
  isJSONRPCErrorResponse,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
  type JSONRPCMessage,
  type MessageExtraInfo,
  type RequestId,
} from '@modelcontextprotocol/sdk/types.js'
import {
  createChannel,
  createEventStream,
  type EventStream,
  MemoryHistory,
} from '../../../src/index.js'

/** Options of `EventStreamTransport`. Milliseconds. */
export interface EventStreamTransportOptions {
  sessionId: string
  /** How long a client is to wait before it comes back. */
  retry: number
  onEnd(): void
}

/** From this version of the protocol on, clients take an event without data, which has the first id. */
const PRIMING_SINCE = '2025-11-25'

/** The stream that belongs to no request. */
const STANDING = 'standing'

/** What belongs to one stream of the protocol, over as many responses as it takes. */
class Call {
  readonly channel = createChannel({ history: new MemoryHistory() })
  readonly name: string
  /** Requests that have no answer yet. */
  readonly open: Set<RequestId>
  #count = 0

  constructor(name: string, open: Iterable<RequestId> = []) {
    this.name = name
    this.open = new Set(open)
  }

  async say(data: unknown): Promise<void> {
    await this.channel.broadcast({ id: `${this.name}.${this.#count++}`, data })
  }

  /** Ends the response under way. The call itself goes on. */
  async hangUp(): Promise<void> {
    for await (const stream of this.channel) void stream.close()
  }
}

/** A session's transport, for the SDK's `Server` or `McpServer`. */
export class EventStreamTransport implements Transport {
  readonly sessionId: string
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: <T extends JSONRPCMessage>(message: T, extra?: MessageExtraInfo) => void
  readonly #options: EventStreamTransportOptions
  readonly #calls = new Map([[STANDING, new Call(STANDING)]])
  #nextCall = 1
  #version = ''

  constructor(options: EventStreamTransportOptions) {
    this.sessionId = options.sessionId
    this.#options = options
  }

  async start(): Promise<void> {}

  async close(): Promise<void> {
    for (const call of this.#calls.values()) await call.hangUp()
    this.#calls.clear()
    this.#options.onEnd()
    this.onclose?.()
  }

  /** A POST: requests are answered on a stream of their own; what wants no answer is taken note of. */
  async onPost(req: IncomingMessage, res: ServerResponse, body: unknown): Promise<void> {
    const messages = (Array.isArray(body) ? body : [body]) as JSONRPCMessage[]
    const requests = messages.filter(isJSONRPCRequest)
    const extra: MessageExtraInfo = { requestInfo: { headers: req.headers } }
    if (requests.length === 0) {
      res.writeHead(202).end()
    } else {
      const call = new Call(
        String(this.#nextCall++),
        requests.map(({ id }) => id),
      )
      this.#calls.set(call.name, call)
      this.#attach(call, req, res)
      // The version that was agreed on; a header that says otherwise is not this session's.
      if (isInitializeRequest(body)) this.#version = body.params.protocolVersion
      if (this.#version >= PRIMING_SINCE) await call.say('')
      extra.closeSSEStream = () => void call.hangUp()
    }
    for (const message of messages) this.onmessage?.(message, extra)
  }

  /** A GET: the stream of a call that was cut off goes on where its client says, or the standing one begins. */
  async onGet(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const id = req.headers['last-event-id']
    const name = typeof id === 'string' ? (id.split('.')[0] as string) : STANDING
    const call = this.#calls.get(name)
    // Unknown here, or answered and acknowledged: nothing will ever come.
    if (call === undefined) {
      res.writeHead(404).end()
      return
    }
    // Two streams would be sent everything twice. One that is resumed takes the place of a connection that has gone unnoticed.
    if (id === undefined && call.channel.size > 0) {
      res.writeHead(409).end()
      return
    }
    for await (const stream of call.channel) stream.abort()
    const stream = this.#attach(call, req, res)
    if (this.#isOver(call)) void stream.close()
  }

  async send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    const answers = isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message)
    const request = answers ? message.id : options?.relatedRequestId
    const call = this.#callOf(request)
    if (call === undefined) throw new Error(`There is no call for request ${request}.`)
    await call.say(message)
    if (!answers) return
    call.open.delete(message.id as RequestId)
    if (this.#isOver(call)) await call.hangUp()
  }

  #callOf(request: RequestId | undefined): Call | undefined {
    if (request === undefined) return this.#calls.get(STANDING)
    for (const call of this.#calls.values()) if (call.open.has(request)) return call
    return undefined
  }

  #isOver(call: Call): boolean {
    return call.name !== STANDING && call.open.size === 0
  }

  #attach(call: Call, req: IncomingMessage, res: ServerResponse): EventStream {
    const stream = createEventStream(req, res, {
      retry: this.#options.retry,
      headers: { 'mcp-session-id': this.sessionId },
    })
    call.channel.subscribe(stream)
    // `ended` is said of streams that the client's kernel has acknowledged to the last byte; after any other end the
    // client may come back.
    void stream.closed.then(({ reason }) => {
      if (reason === 'ended' && this.#isOver(call)) this.#calls.delete(call.name)
    })
    return stream
  }
}
