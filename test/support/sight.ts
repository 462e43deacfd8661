// Looks at sockets, for the pure functions of liveness/.
import { type Look, Sight } from '../../src/liveness/observation.js'

export const healthy: Look = {
  state: 1,
  unacked: 0,
  unsent: 0,
  sendWindow: 65_536,
  retransmits: 0,
  rto: 201,
  probes: 0,
  lastAckReceived: 10,
  lastDataReceived: 10,
  lost: 0,
  totalRetransmits: 0,
  dataSegmentsSent: 100,
  bytesAcked: 1_000,
  windowLimited: 0,
  rtt: 0.1,
  rttVariation: 0.1,
  minRtt: 0.1,
}

/** A look at a healthy idle connection but for what is named. */
export const sight = (look: Partial<Look> = {}): Sight => Object.assign(new Sight(), healthy, look)
