// Evidence: what is known about a peer when its connection is closed.
import { type TcpSnapshot, tcpSnapshotOf } from '../tcp/info.js'
import type { Table } from '../tcp/record.js'
import { column } from './reading.js'
import type { Verdict } from './verdict.js'

/** What was known about a peer when its connection was closed. */
export interface PeerEvidence {
  /** The verdict of the last sample. */
  readonly verdict: Verdict
  /** Milliseconds since the last answer of the peer; 0 if nothing was unanswered, and without the data of the kernel. */
  readonly silentFor: number
  /**
   * How many questions the peer has left unanswered since its last answer; `undefined` without the kernel's data. A
   * question is data, a retransmit or a probe that the peer's kernel must acknowledge.
   */
  readonly asked: number | undefined
  /**
   * How many questions must go unanswered on this path before the silence counts; `undefined` without the kernel's
   * data.
   */
  readonly needed: number | undefined
  /** The kernel's data of the last sample; `undefined` if there was none. */
  readonly tcp: TcpSnapshot | undefined
}

/** Returns the evidence of a reading. It is a copy, because readings are overwritten. */
export function evidenceOf(
  verdict: Verdict,
  silentFor: number,
  table: Table,
  reading: number,
): PeerEvidence {
  const asked = table.get(reading, column.asked)
  const needed = table.get(reading, column.needed)
  return { verdict, silentFor, asked, needed, tcp: tcpSnapshotOf(table, reading) }
}

/** Returns the evidence without the kernel's data. */
export function evidenceWithoutKernel(verdict: Verdict): PeerEvidence {
  return { verdict, silentFor: 0, asked: undefined, needed: undefined, tcp: undefined }
}
