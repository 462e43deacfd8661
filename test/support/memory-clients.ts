// Streams into memory, and a channel with some of them.
import {
  type Channel,
  type ChannelOptions,
  createChannel,
  type EventStreamOptions,
} from '../../src/index.js'
import { LiveStream } from '../../src/stream/live-stream.js'
import { streamSettings } from '../../src/stream/options.js'
import { MemoryOutlet } from './memory-outlet.js'

export interface Client {
  readonly outlet: MemoryOutlet
  readonly stream: LiveStream
}

export function client(lastEventId = '', options: EventStreamOptions = {}): Client {
  const outlet = new MemoryOutlet()
  return { outlet, stream: new LiveStream(outlet, streamSettings(options), lastEventId) }
}

export function withClients(count: number, options?: ChannelOptions): [Channel, Client[]] {
  const channel = createChannel(options)
  const clients = Array.from({ length: count }, () => client())
  for (const { stream } of clients) channel.subscribe(stream)
  return [channel, clients]
}
