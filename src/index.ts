/**
 * Server-sent events that know the state of the TCP connection beneath them.
 *
 * @packageDocumentation
 */
export { type EchoRouteOptions, echo } from './adapters/echo.js'
export { createEventStream, type NodeRequest, type NodeResponse } from './adapters/node.js'
export type { BroadcastOptions, BroadcastResult } from './channel/broadcast.js'
export type {
  Channel,
  ChannelOptions,
  SubscribeOptions,
  Subscription,
} from './channel/channel.js'
export { type Channels, type ChannelsOptions, createChannels } from './channel/channels.js'
export { createChannel } from './channel/create-channel.js'
export {
  type History,
  type HistoryReplay,
  MemoryHistory,
  type MemoryHistoryOptions,
  type ReplayOutcome,
} from './channel/history.js'
export type { HubChannel } from './channel/hub-channel.js'
export type {
  ChannelGap,
  ChannelStateMessage,
  HubChannelOptions,
  HubHistory,
  HubSettings,
  Publication,
} from './channel/hub-options.js'
export type { Replayed, SubscriptionOutcome } from './channel/options.js'
export { type Guard, type GuardStats, guardServer } from './guard/guard-server.js'
export type {
  GuardCloseInfo,
  GuardCloseReason,
  GuardedRequest,
  GuardedResponse,
  GuardOptions,
} from './guard/options.js'
export type * from './hub/hub.js'
export { localHub } from './hub/log/local-hub.js'
export type { HistogramBucket } from './internal/counters.js'
export { type ErrorCode, TcpSseError } from './internal/errors.js'
export {
  type DrainOptions,
  type DrainResult,
  type DrainTarget,
  drain,
} from './lifecycle/drain.js'
export type { PeerEvidence } from './liveness/evidence.js'
export { type LivenessOverrides, type LivenessPlan, livenessPlan } from './liveness/plan.js'
export type { Verdict } from './liveness/verdict.js'
export { type Capabilities, capabilities } from './native/capabilities.js'
export type { DiagnosticsMessages } from './observability/messages.js'
export {
  type HistogramSnapshot,
  type HubMetrics,
  type Metrics,
  metrics,
} from './observability/metrics.js'
export { guardPort, type PortGuard, type PortGuardStats } from './port-guard/guard-port.js'
export type { PortCloseInfo, PortCloseReason, PortGuardOptions } from './port-guard/options.js'
export type { PeerSnapshot } from './port-guard/peer.js'
export { type NegotiableRequest, wantsEventStream } from './sse/accept.js'
export {
  type EncodedEvent,
  type EventInput,
  encodeComment,
  encodeEvent,
  type Serialize,
} from './sse/encode.js'
export { type Admission, type AdmissionOptions, createAdmission } from './stream/admission.js'
export { type CloseInfo, type CloseReason, StreamClosedError } from './stream/close-info.js'
export type {
  Delivered,
  DeliveryOutcome,
  Undelivered,
} from './stream/delivery-log.js'
export type { EchoOptions } from './stream/echo-options.js'
export { acceptEcho, type Echo, type EchoOutcome } from './stream/echo-registry.js'
export type { EventStream } from './stream/event-stream.js'
export type { EventStreamOptions } from './stream/options.js'
export type { Dropped, OverflowPolicy } from './stream/queue.js'
export type { EventIterable } from './stream/source.js'
export type { BufferedBytes, SendResult, StreamState } from './stream/states.js'
export type { SendAllOptions, SendAllResult } from './stream/transfer.js'
export {
  inspectSocket,
  inspectSockets,
  type SocketSnapshot,
  type TcpSnapshot,
  type TcpState,
} from './tcp/info.js'
export {
  type AppliedOptions,
  applySocketOptions,
  type KeepAliveOptions,
  readSocketOptions,
  type SocketOptionName,
  type SocketOptions,
} from './tcp/options.js'
