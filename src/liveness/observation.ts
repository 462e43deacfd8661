// One look at a socket, as numbers, and what it means beside the look before.
import { column, type Rows } from '../tcp/info.js'
import { LEAST_QUESTIONS, type PathNumbers } from './path.js'

/** The numbers of a look at a socket that bear on its verdict. Times in ms; NaN where the kernel does not tell. */
export interface Look extends PathNumbers {
  /** TCP state, the kernel's number. */
  readonly state: number
  /** Segments in flight. */
  readonly unacked: number
  /** Bytes that wait in the kernel to be sent. */
  readonly unsent: number
  /** The window that the peer offers, bytes. */
  readonly sendWindow: number
  /** Timeouts in a row without an ACK of new data. */
  readonly retransmits: number
  /** The retransmission timeout in force, backed off. */
  readonly rto: number
  /** Keepalive or window probes in a row without an answer. */
  readonly probes: number
  /** Since the last ACK. */
  readonly lastAckReceived: number
  /** Since data came from the peer. */
  readonly lastDataReceived: number
  /** Segments believed lost now. */
  readonly lost: number
  /** Segments retransmitted over the connection's life. */
  readonly totalRetransmits: number
  /** Segments with data sent over the connection's life, retransmitted ones included. */
  readonly dataSegmentsSent: number
  /** Bytes acknowledged over the connection's life. */
  readonly bytesAcked: number
  /** Time that sending was held up by the peer's window, over the connection's life. */
  readonly windowLimited: number
}

/** A look, and what it means beside the one before. */
export interface Observation extends Look {
  /** When it was made, on the monitor's clock. */
  readonly at: number
  /** When the peer's last answer came: an ACK, or data. */
  readonly answeredAt: number
  /** How many questions are known to have been asked since, none of them answered. */
  readonly asked: number
  /** How many it takes on this path until the silence means something. */
  readonly needed: number
  /** The look that first found so many; `undefined` before. */
  readonly provedAt: number | undefined
  /** The path's record: questions over the connection's life; the older count less. */
  readonly questions: number
  /** Those of them that went unanswered. */
  readonly unanswered: number
  /** `dataSegmentsSent`, as far as it is in the record. */
  readonly recordedSegments: number
  /** `totalRetransmits`, as far as it is in the record. */
  readonly recordedRetransmits: number
}

/** Every number of an observation, in the order in which a row of the monitor's table has them. */
export const OBSERVED = [
  'state',
  'unacked',
  'unsent',
  'sendWindow',
  'retransmits',
  'rto',
  'probes',
  'lastAckReceived',
  'lastDataReceived',
  'lost',
  'totalRetransmits',
  'dataSegmentsSent',
  'bytesAcked',
  'windowLimited',
  'rtt',
  'rttVariation',
  'minRtt',
  'at',
  'answeredAt',
  'asked',
  'needed',
  'provedAt',
  'questions',
  'unanswered',
  'recordedSegments',
  'recordedRetransmits',
] as const satisfies readonly (keyof Observation)[]

/**
 * An observation that is overwritten by the next one: thousands of sockets are looked at all day, and what outlives a
 * look costs the garbage collector more than the look costs the kernel.
 */
export class Sight implements Observation {
  state = 0
  unacked = 0
  unsent = 0
  sendWindow = 0
  retransmits = 0
  rto = 0
  probes = 0
  lastAckReceived = 0
  lastDataReceived = 0
  lost = 0
  totalRetransmits = 0
  dataSegmentsSent = 0
  bytesAcked = 0
  windowLimited = 0
  rtt = 0
  rttVariation = 0
  minRtt = 0
  at = 0
  answeredAt = 0
  asked = 0
  needed = LEAST_QUESTIONS
  provedAt: number | undefined = undefined
  questions = 0
  unanswered = 0
  recordedSegments = 0
  recordedRetransmits = 0

  /** Reads one row of a sweep. */
  read({ numbers, width }: Rows, index: number): this {
    const row = index * width
    this.state = numbers[row + column.state] as number
    this.unacked = numbers[row + column.unacked] as number
    this.unsent = numbers[row + column.unsent] as number
    this.sendWindow = numbers[row + column.sendWindow] as number
    this.retransmits = numbers[row + column.retransmits] as number
    this.rto = (numbers[row + column.rto] as number) / 1000
    this.probes = numbers[row + column.probes] as number
    this.lastAckReceived = numbers[row + column.lastAckReceived] as number
    this.lastDataReceived = numbers[row + column.lastDataReceived] as number
    this.lost = numbers[row + column.lost] as number
    this.totalRetransmits = numbers[row + column.totalRetransmits] as number
    this.dataSegmentsSent = numbers[row + column.dataSegmentsSent] as number
    this.bytesAcked = numbers[row + column.bytesAcked] as number
    this.windowLimited = (numbers[row + column.windowLimited] as number) / 1000
    this.rtt = (numbers[row + column.rtt] as number) / 1000
    this.rttVariation = (numbers[row + column.rttVariation] as number) / 1000
    this.minRtt = (numbers[row + column.minRtt] as number) / 1000
    return this
  }
}

/** A copy that stays as it is: observations are overwritten by the next look. */
export function copyOf(observation: Observation, copy: Sight = new Sight()): Sight {
  for (const field of OBSERVED) copy[field] = observation[field] as number
  return copy
}

/** Whether only the peer's window is in the way: bytes wait and none is in flight, or it was shut over those in flight. */
export function isWindowShut({ unsent, unacked, sendWindow }: Look): boolean {
  return unacked > 0 ? sendWindow === 0 : unsent > 0
}

/** Whether nothing is in flight or waits: only keepalive asks the peer. */
export function isIdle({ unsent, unacked }: Look): boolean {
  return unacked + unsent === 0
}

/** Whether the peer has shut its window over data in flight: the kernel probes it by retransmits. */
export function isRetracted({ unacked, sendWindow }: Look): boolean {
  return unacked > 0 && sendWindow === 0
}
