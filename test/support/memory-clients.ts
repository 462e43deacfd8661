// Streams into memory, and a channel with some of them.
import {
  type Channel,
  type ChannelOptions,
  createChannel,
  type EventStreamOptions,
} from '../../src/index.js'
import { LiveStream } from '../../src/stream/live-stream.js'
import { streamSettings } from '../../src/stream/options.js'
import { MemoryTransport } from './memory-transport.js'

export interface Client {
  readonly transport: MemoryTransport
  readonly stream: LiveStream
}

export function client(lastEventId = '', options: EventStreamOptions = {}): Client {
  const transport = new MemoryTransport()
  return { transport, stream: new LiveStream(transport, streamSettings(options), lastEventId) }
}

export function withClients(count: number, options?: ChannelOptions): [Channel, Client[]] {
  const channel = createChannel(options)
  const clients = Array.from({ length: count }, () => client())
  for (const { stream } of clients) channel.subscribe(stream)
  return [channel, clients]
}

/** Each write to the client takes longer than a turn's budget: a broadcast pauses behind it, however fast the machine is. */
export function slowDown({ transport }: Client, milliseconds = 2): void {
  const write = transport.write.bind(transport)
  transport.write = (bytes) => {
    const until = performance.now() + milliseconds
    while (performance.now() < until);
    return write(bytes)
  }
}
