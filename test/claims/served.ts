// A client's connection, as its server saw it.
import type { PeerEvidence } from '../../src/index.js'

/** One client's connection. */
export interface Served {
  readonly address: string
  openedAt: number
  closedAt?: number
  reason?: string
  /** Milliseconds since the last ACK, at the last look before the close. */
  unheard?: number
  /** The kernel's timeout on this path at that time, without backoff, ms (RFC 6298). */
  timeout?: number
  /** Events that the client's kernel is said to have acknowledged; streams only. */
  delivered?: number
}

/** Notes what the last look at a connection showed. */
export function noteEvidence(served: Served, evidence: PeerEvidence | undefined): void {
  const { lastAckReceived, rtt, rttVariation } = evidence?.tcp ?? {}
  if (lastAckReceived !== undefined) served.unheard = lastAckReceived
  if (rtt === undefined || rttVariation === undefined) return
  served.timeout = rtt + Math.max(200, 4 * rttVariation)
}
