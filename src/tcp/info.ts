// What the kernel knows about a connection.
import type { Socket } from 'node:net'
import { addon, fdOf, handedOf, libuvQueueOf, socketOf } from '../native/binding.js'

/** The states of tcp(7), in the kernel's numbering (include/net/tcp_states.h). */
const TCP_STATES = [
  'UNKNOWN',
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT1',
  'FIN_WAIT2',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'CLOSING',
] as const

/** A state of the TCP state machine (RFC 9293, 3.3.2). */
export type TcpState = (typeof TCP_STATES)[number]

/** The numbers of the states that are looked at. */
export const TCP_ESTABLISHED = 1
export const TCP_CLOSE = 7
export const TCP_CLOSE_WAIT = 8

/** The name of a state, by the kernel's number. */
export function stateName(state: number): TcpState | undefined {
  return TCP_STATES[state]
}

const CONGESTION_STATES = ['open', 'disorder', 'cwr', 'recovery', 'loss'] as const

/**
 * What the kernel tells about a connection. A field is `undefined` where this kernel or this kind of socket does not
 * tell: "no data" and "zero bytes" never look alike.
 */
export interface TcpSnapshot {
  /** Where the connection is in TCP's life of one. */
  readonly state?: TcpState | undefined
  /** Bytes in the kernel that the peer's kernel has not acknowledged, sent or not (SIOCOUTQ). */
  readonly outq?: number | undefined
  /** Bytes sent and not acknowledged (SIOCOUTQ - SIOCOUTQNSD). */
  readonly unacked?: number | undefined
  /** Bytes in the kernel and not sent yet (SIOCOUTQNSD). */
  readonly unsent?: number | undefined
  /** Segments sent and not acknowledged. */
  readonly unackedSegments?: number | undefined
  /** The window that the peer offers, bytes. Linux >= 5.4. */
  readonly sendWindow?: number | undefined
  /** Milliseconds since the last ACK; grows without bound on a healthy idle connection. */
  readonly lastAckReceived?: number | undefined
  /** Milliseconds since data came from the peer. */
  readonly lastDataReceived?: number | undefined
  /** Milliseconds since data was last sent, retransmits included. */
  readonly lastDataSent?: number | undefined
  /** Smoothed round-trip time, milliseconds. */
  readonly rtt?: number | undefined
  /** Its mean deviation, milliseconds. */
  readonly rttVariation?: number | undefined
  /** The retransmission timeout in force, milliseconds. */
  readonly rto?: number | undefined
  /** Timeouts in a row without an ACK. */
  readonly retransmits?: number | undefined
  /** Keepalive or window probes in a row without an answer. */
  readonly probes?: number | undefined
  /** Doublings of the timeout in force. */
  readonly backoff?: number | undefined
  /** The kernel's view of the path (tcp_ca_state). */
  readonly congestionState?: (typeof CONGESTION_STATES)[number] | undefined
  /** Congestion window, segments. */
  readonly congestionWindow?: number | undefined
  /** Segments that the kernel believes lost now. */
  readonly lost?: number | undefined
  /** Segments retransmitted over the connection's life. */
  readonly totalRetransmits?: number | undefined
  /** Bytes that the peer's kernel has acknowledged over the connection's life. Linux >= 4.1. */
  readonly bytesAcked?: number | undefined
  /** Bytes received over the connection's life. Linux >= 4.1. */
  readonly bytesReceived?: number | undefined
  /** Bytes a second, the latest measurement. Linux >= 4.9. */
  readonly deliveryRate?: number | undefined
  /** Milliseconds that sending was held up by the peer's window. Linux >= 4.10. */
  readonly windowLimited?: number | undefined
}

/** One look at a socket. */
export interface SocketSnapshot extends TcpSnapshot {
  /**
   * `ok`: the kernel answered. `partly`: no TCP_INFO (a Unix socket). `destroyed`: the socket has no
   * descriptor, nothing was asked. `unavailable`: there is no addon here.
   */
  readonly status: 'ok' | 'partly' | 'destroyed' | 'unavailable'
  /** Bytes that Node and libuv still hold. Known everywhere. */
  readonly pending: number
}

/**
 * Looks at one connection.
 *
 * @throws {TcpSseError} `ERR_NOT_A_SOCKET`
 * @example
 * const { state, unsent, rtt } = inspectSocket(req.socket)
 */
export function inspectSocket(socket: Socket): SocketSnapshot {
  return inspectSockets([socket])[0] as SocketSnapshot
}

/**
 * Looks at many connections with one native call.
 *
 * @throws {TcpSseError} `ERR_NOT_A_SOCKET`, before anything is asked
 * @example
 * const waiting = inspectSockets([...sockets]).reduce((bytes, { unsent }) => bytes + (unsent ?? 0), 0)
 */
export function inspectSockets(sockets: readonly Socket[]): SocketSnapshot[] {
  const targets = sockets.map(socketOf)
  const rows = sweep(targets)
  return targets.map((socket, index) => snapshot(socket, rows, index))
}

/** The rows of one native sweep. Valid until the next one: read what is needed at once. */
export interface Rows {
  /** The number in a named column of a row; NaN where there is none. */
  readonly numbers: Float64Array
  readonly width: number
}

/** Where each column of native/tcp.h stands, by name; -1 without an addon. */
export const column = Object.freeze({
  errno: at('errno'),
  outq: at('outq'),
  unsent: at('unsent'),
  state: at('state'),
  congestionState: at('ca_state'),
  retransmits: at('retransmits'),
  probes: at('probes'),
  backoff: at('backoff'),
  rto: at('rto'),
  unacked: at('unacked'),
  lost: at('lost'),
  lastDataSent: at('last_data_sent'),
  lastDataReceived: at('last_data_recv'),
  lastAckReceived: at('last_ack_recv'),
  rtt: at('rtt'),
  rttVariation: at('rttvar'),
  minRtt: at('min_rtt'),
  congestionWindow: at('snd_cwnd'),
  totalRetransmits: at('total_retrans'),
  dataSegmentsSent: at('data_segs_out'),
  bytesAcked: at('bytes_acked'),
  bytesReceived: at('bytes_received'),
  deliveryRate: at('delivery_rate'),
  windowLimited: at('rwnd_limited'),
  sendWindow: at('snd_wnd'),
})

let fds = new Int32Array(0)
let numbers = new Float64Array(0)

/** Asks the kernel about all of them with one native call. */
export function sweep(sockets: readonly Socket[]): Rows {
  const width = addon?.fields.length ?? 0
  if (addon === undefined) return { numbers, width }
  if (fds.length < sockets.length) {
    fds = new Int32Array(sockets.length * 2)
    numbers = new Float64Array(fds.length * width)
  }
  for (let i = 0; i < sockets.length; i++) fds[i] = fdOf(sockets[i] as Socket)
  addon.inspectMany(fds, sockets.length, numbers)
  return { numbers, width }
}

/** How far the peer's kernel has acknowledged what was written; `undefined` where that cannot be known. */
export function acknowledgedOffset(socket: Socket): number | undefined {
  if (addon === undefined || fdOf(socket) < 0) return undefined
  const { numbers } = sweep([socket])
  const offset = handedOf(socket) - (numbers[column.outq] as number)
  const known = numbers[column.errno] === 0 && numbers[column.state] !== TCP_CLOSE
  return known && !Number.isNaN(offset) ? offset : undefined
}

/** Whether nothing waits anywhere on our side; `undefined` where the kernel cannot be asked. */
export function isDrained(socket: Socket): boolean | undefined {
  if (addon === undefined || fdOf(socket) < 0) return undefined
  const { numbers } = sweep([socket])
  const outq = numbers[column.outq] as number
  const state = numbers[column.state] as number
  // The queue of a Unix socket is what the peer's application has not read: no sign of life, and no kernel's word.
  if (Number.isNaN(outq) || Number.isNaN(state)) return undefined
  // A connection that the kernel has ended keeps no queue; Node is about to hear of it.
  if (state === TCP_CLOSE) return false
  return outq === 0 && socket.writableLength === 0 && libuvQueueOf(socket) === 0
}

function at(name: string): number {
  return addon?.fields.indexOf(name) ?? -1
}

function snapshot(socket: Socket, { numbers, width }: Rows, index: number): SocketSnapshot {
  const pending = socket.writableLength
  if (fdOf(socket) < 0)
    return { status: addon || socket.destroyed ? 'destroyed' : 'unavailable', pending }
  if (addon === undefined) return { status: 'unavailable', pending }
  const read = (position: number): number | undefined => {
    const value = position < 0 ? Number.NaN : (numbers[index * width + position] as number)
    return Number.isNaN(value) ? undefined : value
  }
  const outq = read(column.outq)
  const unsent = read(column.unsent)
  return {
    status: read(column.errno) === 0 ? 'ok' : 'partly',
    pending: Math.max(pending, libuvQueueOf(socket)),
    state: stateName(read(column.state) ?? -1),
    outq,
    unsent,
    unacked: outq === undefined || unsent === undefined ? undefined : Math.max(0, outq - unsent),
    unackedSegments: read(column.unacked),
    sendWindow: read(column.sendWindow),
    lastAckReceived: read(column.lastAckReceived),
    lastDataReceived: read(column.lastDataReceived),
    lastDataSent: read(column.lastDataSent),
    rtt: inMilliseconds(read(column.rtt)),
    rttVariation: inMilliseconds(read(column.rttVariation)),
    rto: inMilliseconds(read(column.rto)),
    retransmits: read(column.retransmits),
    probes: read(column.probes),
    backoff: read(column.backoff),
    congestionState: CONGESTION_STATES[read(column.congestionState) ?? -1],
    congestionWindow: read(column.congestionWindow),
    lost: read(column.lost),
    totalRetransmits: read(column.totalRetransmits),
    bytesAcked: read(column.bytesAcked),
    bytesReceived: read(column.bytesReceived),
    deliveryRate: read(column.deliveryRate),
    windowLimited: inMilliseconds(read(column.windowLimited)),
  }
}

function inMilliseconds(microseconds: number | undefined): number | undefined {
  return microseconds === undefined ? undefined : microseconds / 1000
}
