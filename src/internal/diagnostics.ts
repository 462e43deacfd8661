// The channels of `node:diagnostics_channel` that applications can subscribe to. docs/observability.md describes the
// messages. A
// channel without subscribers costs one property read. If a subscriber throws, Node raises the error as an
// `uncaughtException`
// on the next tick; it never reaches the stream.
import { channel } from 'node:diagnostics_channel'

export const streamOpen = channel('tcp-sse:stream:open')
export const streamRefused = channel('tcp-sse:stream:refused')
export const streamClose = channel('tcp-sse:stream:close')
export const streamVerdict = channel('tcp-sse:stream:verdict')
export const streamOverflow = channel('tcp-sse:stream:overflow')
export const channelBroadcast = channel('tcp-sse:channel:broadcast')
export const channelState = channel('tcp-sse:channel:state')
export const channelGap = channel('tcp-sse:channel:gap')
export const guardClose = channel('tcp-sse:guard:close')
