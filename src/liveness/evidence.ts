// What is kept of a peer when it is given up: for the watchers the last look, for applications a snapshot.
import { stateName, type TcpSnapshot } from '../tcp/info.js'
import { copyOf, type Observation } from './observation.js'
import { silentFor, type Verdict } from './verdict.js'

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

/** The same with the look itself, for watchers. */
export interface Evidence extends Pick<PeerEvidence, 'verdict' | 'silentFor'> {
  readonly observation: Observation | undefined
}

/** What has a verdict and a latest look: a socket under watch. */
interface Watched extends Pick<Evidence, 'verdict' | 'observation'> {}

/** What is known of a peer that is given up: a copy, because the observation is overwritten. */
export function evidenceOf({ verdict, observation }: Watched, silence: number): Evidence {
  return { verdict, silentFor: silence, observation: observation && copyOf(observation) }
}

/** Evidence of a connection that is given up for another reason than its peer's silence. */
export function evidenceOfWatch(watch: Watched): Evidence {
  const { observation } = watch
  return evidenceOf(watch, observation === undefined ? 0 : silentFor(observation))
}

/** Evidence as applications get it. */
export function publicEvidence({ observation, ...evidence }: Evidence): PeerEvidence {
  const { verdict, silentFor } = evidence
  const { asked, needed } = observation ?? {}
  return { verdict, silentFor, asked, needed, tcp: observation && tcpSnapshotOf(observation) }
}

/** A look as a snapshot. Bytes in flight are not in a look: it counts segments. */
export function tcpSnapshotOf(look: Observation): TcpSnapshot {
  return {
    state: stateName(look.state),
    unsent: known(look.unsent),
    unackedSegments: known(look.unacked),
    sendWindow: known(look.sendWindow),
    lastAckReceived: known(look.lastAckReceived),
    lastDataReceived: known(look.lastDataReceived),
    rtt: known(look.rtt),
    rttVariation: known(look.rttVariation),
    rto: known(look.rto),
    retransmits: known(look.retransmits),
    probes: known(look.probes),
    lost: known(look.lost),
    totalRetransmits: known(look.totalRetransmits),
    bytesAcked: known(look.bytesAcked),
    windowLimited: known(look.windowLimited),
  }
}

function known(value: number): number | undefined {
  return Number.isNaN(value) ? undefined : value
}
