// Reads what the kernel knows about a connection.
import type { Socket } from 'node:net'
import { TcpSseError } from '../internal/errors.js'
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

/** A state of the TCP state machine (RFC 9293, 3.3.2), by the kernel's name (include/net/tcp_states.h). */
export type TcpState = (typeof TCP_STATES)[number]

/** Numbers of the states that the library checks. */
export const TCP_ESTABLISHED = 1
export const TCP_CLOSE = 7
export const TCP_CLOSE_WAIT = 8

const CONGESTION_STATES = ['open', 'disorder', 'cwr', 'recovery', 'loss'] as const

/**
 * What the kernel reports about a connection. A field is `undefined` if this kernel or this kind of socket does not
 * report it, so that "no data" differs from "zero bytes".
 */
export interface TcpSnapshot {
  /** The state of the connection. tcp(7). */
  readonly state?: TcpState | undefined
  /** Bytes in the kernel that the peer's kernel has not acknowledged, sent or not (SIOCOUTQ). */
  readonly outq?: number | undefined
  /** Bytes sent and not acknowledged: `outq` - `unsent`. */
  readonly unacked?: number | undefined
  /** Bytes in the kernel and not sent yet (`tcpi_notsent_bytes`; SIOCOUTQNSD before Linux 4.6). */
  readonly unsent?: number | undefined
  /** Segments sent and not acknowledged. */
  readonly unackedSegments?: number | undefined
  /** The window that the peer advertises, in bytes. Linux >= 5.4. */
  readonly sendWindow?: number | undefined
  /** Milliseconds since the last ACK. Grows without bound on a healthy idle connection. */
  readonly lastAckReceived?: number | undefined
  /** Milliseconds since data last arrived from the peer. */
  readonly lastDataReceived?: number | undefined
  /** Milliseconds since data was last sent, including retransmits. */
  readonly lastDataSent?: number | undefined
  /** Smoothed round-trip time, milliseconds. */
  readonly rtt?: number | undefined
  /** Mean deviation of the round-trip time, milliseconds. */
  readonly rttVariation?: number | undefined
  /** The current retransmission timeout, milliseconds. */
  readonly rto?: number | undefined
  /** Consecutive timeouts without an ACK of new data. */
  readonly retransmits?: number | undefined
  /** Consecutive keepalive or window probes without an answer. */
  readonly probes?: number | undefined
  /** How often the current timeout has been doubled. */
  readonly backoff?: number | undefined
  /** The kernel's view of the path (tcp_ca_state). */
  readonly congestionState?: (typeof CONGESTION_STATES)[number] | undefined
  /** Congestion window, segments. */
  readonly congestionWindow?: number | undefined
  /** Segments that the kernel currently considers lost. */
  readonly lost?: number | undefined
  /** Segments retransmitted during the life of the connection. */
  readonly totalRetransmits?: number | undefined
  /**
   * Segments that the peer reported as received before, during the life of the connection (DSACK, RFC 2883). Linux >=
   * 4.19.
   */
  readonly reportedDuplicates?: number | undefined
  /** Bytes that the peer's kernel has acknowledged during the life of the connection. Linux >= 4.1. */
  readonly bytesAcked?: number | undefined
  /** Bytes received during the life of the connection. Linux >= 4.1. */
  readonly bytesReceived?: number | undefined
  /** The latest measured delivery rate, in bytes per second. Linux >= 4.9. */
  readonly deliveryRate?: number | undefined
  /** Milliseconds for which the peer's window limited sending, during the life of the connection. Linux >= 4.10. */
  readonly windowLimited?: number | undefined
}

/** A sample of a socket's state. */
export interface SocketSnapshot extends TcpSnapshot {
  /**
   * What could be read:
   * - `ok`: the kernel reported TCP_INFO.
   * - `partly`: the socket has no TCP_INFO (a Unix socket).
   * - `destroyed`: the socket has no descriptor; the kernel was not asked.
   * - `unavailable`: the addon is not loaded.
   */
  readonly status: 'ok' | 'partly' | 'destroyed' | 'unavailable'
  /** Bytes that Node and libuv still hold. Known on every system. */
  readonly pending: number
}

/**
 * Reads the state of one connection. Never throws for a closed socket: see `status`.
 *
 * @throws {TcpSseError} `ERR_NOT_A_SOCKET`
 * @example
 * const { state, unsent, rtt } = inspectSocket(req.socket)
 */
export function inspectSocket(socket: Socket): SocketSnapshot {
  return inspectSockets([socket])[0] as SocketSnapshot
}

/**
 * Reads the state of many connections with one native call.
 *
 * @throws {TcpSseError} `ERR_NOT_A_SOCKET` if any value is not a socket, or there is no array; then no socket is read
 * @example
 * const waiting = inspectSockets([...sockets]).reduce((bytes, { unsent }) => bytes + (unsent ?? 0), 0)
 */
export function inspectSockets(sockets: readonly Socket[]): SocketSnapshot[] {
  if (!Array.isArray(sockets)) {
    throw new TcpSseError('ERR_NOT_A_SOCKET', 'inspectSockets needs an array of sockets.')
  }
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

/** A table for a record that is used immediately. */
const single = new Table(COLUMNS.length, 1)

/** Whether `acknowledgedOffset` can return a value for a connection, now or later. Does not ask the kernel. */
export function tellsAcknowledgements(socket: Socket): boolean {
  return addon !== undefined && fdOf(socket) >= 0 && !Number.isNaN(handedOf(socket))
}

/** The offset up to which the peer's kernel has acknowledged what was written; `undefined` if unknown. */
export function acknowledgedOffset(socket: Socket): number | undefined {
  if (!tellsAcknowledgements(socket)) return undefined
  readInto(single, [0], [socket])
  const offset = handedOf(socket) - single.get(0, column.outq)
  const state = single.get(0, column.state)
  const known = single.get(0, column.errno) === 0 && state !== TCP_CLOSE
  return known && !Number.isNaN(offset) ? offset : undefined
}

/** Whether no bytes are left in Node, libuv or the kernel; `undefined` if the kernel cannot be asked. */
export function isFullyAcked(socket: Socket): boolean | undefined {
  if (addon === undefined || fdOf(socket) < 0) return undefined
  readInto(single, [0], [socket])
  const outq = single.get(0, column.outq)
  const state = single.get(0, column.state)
  // The queue of a Unix socket is what the peer's application has not read. It says nothing about acknowledgements.
  if (Number.isNaN(outq) || Number.isNaN(state)) return undefined
  // A connection that the kernel has ended has no queue. Node is about to learn of the end.
  if (state === TCP_CLOSE) return false
  return outq === 0 && socket.writableLength === 0 && libuvQueueOf(socket) === 0
}

/** The kernel's record in its public form. */
export function tcpSnapshotOf(table: Table, start: number): TcpSnapshot {
  const { status, pending, ...tcp } = snapshotOf(table, start, 0)
  return tcp
}

/**
 * A record in its public form. It is one literal, because a spread of this many fields takes four times as long.
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
    reportedDuplicates: read(column.reportedDuplicates),
    bytesAcked: read(column.bytesAcked),
    bytesReceived: read(column.bytesReceived),
    deliveryRate: read(column.deliveryRate),
    windowLimited: read(column.windowLimited),
  }
}
