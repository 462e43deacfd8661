// All messages on the channels of node:diagnostics_channel, as one type.
import type { ChannelMessages } from '../channel/channel.js'
import type { ChannelGap, ChannelStateMessage } from '../channel/hub-options.js'
import type { GuardMessages } from '../guard/options.js'
import type { StreamMessages } from '../stream/instrumentation.js'

/**
 * The messages on this library's channels of `node:diagnostics_channel`, by the channel's name.
 *
 * @example
 * import { subscribe } from 'node:diagnostics_channel'
 *
 * subscribe('tcp-sse:stream:close', (message) => {
 *   const { info } = message as DiagnosticsMessages['tcp-sse:stream:close']
 *   console.log(info.reason, info.openedFor)
 * })
 */
export interface DiagnosticsMessages extends StreamMessages, ChannelMessages, GuardMessages {
  /** The state of a channel with a hub has changed. */
  readonly 'tcp-sse:channel:state': ChannelStateMessage
  /** A channel with a hub has lost events. */
  readonly 'tcp-sse:channel:gap': ChannelGap
}
