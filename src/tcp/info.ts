// What the kernel knows about a connection.
import type { Socket } from 'node:net'
import { addon, fdOf, handedOf, libuvQueueOf, socketOf } from '../native/binding.js'
import { COLUMNS, column, readInto, Table } from './record.js'

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
  const table = targets.length === 1 ? single : new Table(COLUMNS.length, targets.length)
  const starts = targets.map((_, index) => index * COLUMNS.length)
  readInto(table, starts, targets)
  return targets.map((socket, index) => {
    const pending = socket.writableLength
    if (fdOf(socket) < 0)
      return { status: addon || socket.destroyed ? 'destroyed' : 'unavailable', pending }
    if (addon === undefined) return { status: 'unavailable', pending }
    return snapshotOf(table, starts[index] as number, Math.max(pending, libuvQueueOf(socket)))
  })
}

/** For a record that is read at once. */
const single = new Table(COLUMNS.length, 1)

/** Whether `acknowledgedOffset` can tell anything of a connection, now or later. Asks nothing of the kernel. */
export function tellsAcknowledgements(socket: Socket): boolean {
  return addon !== undefined && fdOf(socket) >= 0 && !Number.isNaN(handedOf(socket))
}

/** How far the peer's kernel has acknowledged what was written; `undefined` where that cannot be known. */
export function acknowledgedOffset(socket: Socket): number | undefined {
  if (!tellsAcknowledgements(socket)) return undefined
  readInto(single, [0], [socket])
  const offset = handedOf(socket) - single.get(0, column.outq)
  const state = single.get(0, column.state)
  const known = single.get(0, column.errno) === 0 && state !== TCP_CLOSE
  return known && !Number.isNaN(offset) ? offset : undefined
}

/** Whether nothing waits anywhere on our side; `undefined` where the kernel cannot be asked. */
export function isFullyAcked(socket: Socket): boolean | undefined {
  if (addon === undefined || fdOf(socket) < 0) return undefined
  readInto(single, [0], [socket])
  const outq = single.get(0, column.outq)
  const state = single.get(0, column.state)
  // The queue of a Unix socket is what the peer's application has not read: no sign of life, and no kernel's word.
  if (Number.isNaN(outq) || Number.isNaN(state)) return undefined
  // A connection that the kernel has ended keeps no queue; Node is about to hear of it.
  if (state === TCP_CLOSE) return false
  return outq === 0 && socket.writableLength === 0 && libuvQueueOf(socket) === 0
}

/** What the kernel has told, as users see it. */
export function tcpSnapshotOf(table: Table, start: number): TcpSnapshot {
  const { status, pending, ...tcp } = snapshotOf(table, start, 0)
  return tcp
}

/**
 * A record as users see it. In one literal: a spread of so many fields takes four times as long.
 *
 * @param pending - bytes in user space
 */
function snapshotOf(table: Table, start: number, pending: number): SocketSnapshot {
  const read = (position: number): number | undefined => {
    const value = table.get(start, position)
    return Number.isNaN(value) ? undefined : value
  }
  const outq = read(column.outq)
  const unsent = read(column.unsent)
  return {
    status: read(column.errno) === 0 ? 'ok' : 'partly',
    pending,
    state: TCP_STATES[read(column.state) ?? -1],
    outq,
    unsent,
    unacked: outq === undefined || unsent === undefined ? undefined : Math.max(0, outq - unsent),
    unackedSegments: read(column.unackedSegments),
    sendWindow: read(column.sendWindow),
    lastAckReceived: read(column.lastAckReceived),
    lastDataReceived: read(column.lastDataReceived),
    lastDataSent: read(column.lastDataSent),
    rtt: read(column.rtt),
    rttVariation: read(column.rttVariation),
    rto: read(column.rto),
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
    windowLimited: read(column.windowLimited),
  }
}
