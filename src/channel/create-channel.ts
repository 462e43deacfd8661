// The function that makes channels.
import { Channel } from './channel.js'
import { HubChannel } from './hub-channel.js'
import type { HubChannelOptions } from './hub-options.js'
import type { ChannelOptions } from './options.js'

/**
 * Makes a channel within this process.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`
 * @example
 * const news = createChannel({ history: { maxEvents: 1_000 } })
 * http.createServer((req, res) => void news.subscribe(createEventStream(req, res)))
 * await news.broadcast({ data: 'hello, all' })
 */
export function createChannel(options?: ChannelOptions): Channel
/**
 * Makes a channel that spans several processes: all channels with the same name and hub are one.
 * See docs/several-machines.md.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`, `ERR_HUB_CLOSED`
 * @example
 * const news = createChannel({ hub: localHub(), name: 'news', history: { maxEvents: 10_000 } })
 */
export function createChannel(options: HubChannelOptions): HubChannel
export function createChannel(
  options: ChannelOptions | HubChannelOptions = {},
): Channel | HubChannel {
  // A name without a hub is a mistake. HubChannel throws the error, which says that the hub is missing.
  const { hub, name } = (options ?? {}) as Partial<HubChannelOptions>
  return hub !== undefined || name !== undefined
    ? new HubChannel(options as HubChannelOptions)
    : new Channel(options as ChannelOptions)
}
