/**
 * Server-sent events that know the state of the TCP connection beneath them.
 *
 * @packageDocumentation
 */
export { type EchoRouteOptions, echo } from './adapters/echo.js'
export { createEventStream, type NodeRequest, type NodeResponse } from './adapters/node.js'
export type { BroadcastOptions, Tally } from './channel/broadcast.js'
export {
  type Channel,
  type ChannelBroadcastMessage,
  type ChannelOptions,
  createChannel,
  type SubscribeOptions,
  type Subscription,
} from './channel/channel.js'
export {
  type History,
  MemoryHistory,
  type MemoryHistoryOptions,
  type Replay,
  type ReplayOutcome,
} from './channel/history.js'
export type { Hub, Message } from './channel/hub.js'
export { type Guard, type GuardStats, guardServer } from './guard/guard-server.js'
export type {
  GuardCloseInfo,
  GuardCloseMessage,
  GuardCloseReason,
  GuardedRequest,
  GuardedResponse,
  GuardOptions,
} from './guard/options.js'
export type { HistogramBucket } from './internal/counters.js'
export { type ErrorCode, TcpSseError } from './internal/errors.js'
export {
  type DrainOptions,
  type DrainResult,
  type DrainTarget,
  drain,
} from './lifecycle/drain.js'
export { type LivenessOverrides, type LivenessPlan, livenessPlan } from './liveness/plan.js'
export type { Verdict } from './liveness/verdict.js'
export type { PeerEvidence } from './liveness/watch.js'
export { type Capabilities, capabilities } from './native/capabilities.js'
export { type HistogramSnapshot, type Metrics, metrics } from './observability/metrics.js'
export { guardPort, type PortGuard, type PortGuardStats } from './port-guard/guard-port.js'
export type { PortCloseInfo, PortCloseReason, PortGuardOptions } from './port-guard/options.js'
export type { PeerSnapshot } from './port-guard/peer.js'
export { type NegotiableRequest, wantsEventStream } from './sse/accept.js'
export {
  EncodedEvent,
  type EventInput,
  encodeComment,
  encodeEvent,
  type Serialize,
} from './sse/encode.js'
export { type Admission, type AdmissionOptions, createAdmission } from './stream/admission.js'
export { type CloseInfo, type CloseReason, StreamClosedError } from './stream/close-info.js'
export {
  type Delivered,
  type DeliveryOutcome,
  TRACKED_EVENTS,
  type Undelivered,
} from './stream/delivery-log.js'
export type { EchoOptions } from './stream/echo-options.js'
export { acceptEcho, type Echo, type EchoOutcome } from './stream/echo-registry.js'
export type { EventStream } from './stream/event-stream.js'
export type {
  StreamCloseMessage,
  StreamOpenMessage,
  StreamOverflowMessage,
  StreamRefusedMessage,
  StreamVerdictMessage,
} from './stream/instrumentation.js'
export type { EventStreamOptions, SendOptions } from './stream/options.js'
export type { Dropped, OverflowPolicy } from './stream/queue.js'
export type { EventSourceLike } from './stream/source.js'
export type { QueueSizes, SendResult, StreamState } from './stream/states.js'
export type { SendAllOptions, SendAllResult } from './stream/transfer.js'
export {
  inspectSocket,
  inspectSockets,
  type SocketSnapshot,
  type TcpState,
} from './tcp/info.js'
export {
  type AppliedOptions,
  applySocketOptions,
  type KeepAliveOptions,
  type SocketOptionName,
  type SocketOptions,
} from './tcp/options.js'
