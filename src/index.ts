/**
 * Server-sent events that know the state of the TCP connection beneath them.
 *
 * **Data flows down: request, stream, transport, socket.** `createEventStream(req, res)`, or the
 * adapter of a framework, answers a request and returns an `EventStream`. The stream encodes an
 * event and passes it to its transport: a response over HTTP/1 or HTTP/2, or a web `Response`.
 * While the client is behind, events wait in the stream's own queue, which has limits. The
 * transport writes to the socket. Over plain HTTP/1, one native call sends the events that all
 * streams have written in one tick.
 *
 * **Information flows up: kernel, TCP_INFO, verdict, monitor, stream.** The kernel knows what the
 * client has acknowledged, how long ago it last answered, and how many retransmits and probes it
 * has left unanswered (TCP_INFO, tcp(7)). One monitor per process samples the sockets and derives
 * a `Verdict` from two samples: `alive`, `congested`, `slow`, `half-closed` or `dead`. The stream
 * gets the verdict, and closes when the client is dead.
 *
 * **One option is the promise: `detectWithin`.** A client that has fallen silent is closed within
 * this time + 1 s. A client that still answers is never closed for silence, however slow it is. If
 * the round trips or losses of its path require more time, the client gets it. `livenessPlan`
 * returns the numbers that follow: keepalive, heartbeats, and the kernel's timeouts. The promise
 * needs Linux and the addon; `capabilities` reports what the running system has. A client that
 * answers but reads nothing is closed after `stallTimeout`.
 *
 * The other parts build on this:
 *
 * - A **channel** (`createChannel`) has many streams that get the same events. Its history sends
 *   clients that reconnect what they missed.
 * - A **hub** (`localHub`, `tcp-sse/cluster`, `tcp-sse/redis`, `tcp-sse/nats`) carries and
 *   remembers the events of channels, so that all channels of one name in several processes are
 *   one channel.
 * - A **guard** applies the liveness rules to connections whose responses this library does not
 *   write: `guardServer` for a server in this process, `guardPort` for servers in other processes.
 * - A **drain** (`drain`) ends the streams of a server that shuts down. They end one after
 *   the other, and each client gets its own time to reconnect. An **admission**
 *   (`createAdmission`) limits the number of open streams.
 * - An **echo** (`echo`, and `liveFetch` of `tcp-sse/client`) is an answer of the client itself,
 *   for clients behind a proxy.
 * - The **socket functions** (`applySocketOptions`, `inspectSocket`) are the layer below, for any
 *   `net.Socket`.
 *
 * **Results and errors have different sources.** The condition of a client is never an exception.
 * `send` returns `sent`, `queued`, `dropped` or `closed`. `stream.closed` resolves once, with the
 * reason and what was delivered. `TcpSseError` reports a mistake of the caller, a system call that
 * failed, or a hub that does not answer. A function that returns a promise rejects with it; other
 * functions throw it. The call then had no effect, unless its documentation says otherwise. Match
 * on `code`; messages may change. `metrics`, and the channels of `node:diagnostics_channel`
 * (`DiagnosticsMessages`), report on all streams.
 *
 * docs/api.md describes every export, docs/errors.md every code.
 *
 * @example
 * http.createServer(async (req, res) => {
 *   const stream = createEventStream(req, res, { detectWithin: 10_000 })
 *   // The client's pace: nothing is taken from `rows` while the client is behind.
 *   const { sent } = await stream.sendAll(rows)
 *   const { reason, undelivered } = await stream.close()
 *   console.log(sent, reason, undelivered?.ids) // 3 'ended' []
 * })
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
