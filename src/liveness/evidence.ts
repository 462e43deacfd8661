// What is known of a peer when it is given up.
import { type TcpSnapshot, tcpSnapshotOf } from '../tcp/info.js'
import type { Table } from '../tcp/record.js'
import { column } from './reading.js'
import type { Verdict } from './verdict.js'

/** What was known of a peer when it was given up. */
export interface PeerEvidence {
  /** At its last look. */
  readonly verdict: Verdict
  /** Milliseconds that something went unanswered. */
  readonly silentFor: number
  /** How many questions the peer left unanswered since its last answer; `undefined` where the kernel tells nothing. */
  readonly asked: number | undefined
  /** How many it takes on this path until the silence means something; `undefined` where the kernel tells nothing. */
  readonly needed: number | undefined
  /** What the last look showed of the connection; `undefined` where the kernel tells nothing. */
  readonly tcp: TcpSnapshot | undefined
}

/** Evidence by a reading: a copy, because readings are overwritten. */
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

/** Evidence where the kernel tells nothing. */
export function evidenceWithoutKernel(verdict: Verdict): PeerEvidence {
  return { verdict, silentFor: 0, asked: undefined, needed: undefined, tcp: undefined }
}
