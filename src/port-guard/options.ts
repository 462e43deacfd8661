// Options and reports of a guard of a port.
import { isIP } from 'node:net'
import { TcpSseError } from '../internal/errors.js'
import {
  boolean,
  type Check,
  type Checks,
  callable,
  checkOptions,
  duration,
  orFalse,
  pass,
  tcpPort,
  wrongType,
} from '../internal/validate.js'
import type { PeerEvidence } from '../liveness/evidence.js'
import { type MonitorPlan, monitorPlan } from '../liveness/plan.js'
import type { Verdict } from '../liveness/verdict.js'

/**
 * Why a connection was ended:
 *
 * - `peer-dead`: the peer left something unanswered for longer than `detectWithin` allows.
 * - `stalled`: the client took no byte for `stallTimeout`.
 */
export type PortCloseReason = 'peer-dead' | 'stalled'

/** A connection that was found dead or stalled. */
export interface PortCloseInfo {
  /** The reason. */
  readonly reason: PortCloseReason
  /**
   * What happened:
   *
   * - `ended`: the kernel has ended the connection. Its process gets an error when it next uses it.
   * - `dry-run`: the connection was left as it is.
   * - `failed`: the kernel refused to end it; see `errno`.
   */
  readonly outcome: 'ended' | 'dry-run' | 'failed'
  /** The negative error number; only with `failed`. */
  readonly errno: number | undefined
  /** The server's address. An IPv4-mapped address is given as IPv4. */
  readonly localAddress: string
  /** The guarded port. */
  readonly localPort: number
  /** The client's address. An IPv4-mapped address is given as IPv4. */
  readonly remoteAddress: string
  /** The client's port. */
  readonly remotePort: number
  /** Milliseconds since the guard first saw the connection. */
  readonly seenFor: number
  /** The last verdict on the peer. */
  readonly verdict: Verdict
  /** Milliseconds for which no byte was taken; only with `stalled`. */
  readonly stalledFor: number | undefined
  /** The last sample of the connection. */
  readonly evidence: PeerEvidence
}

/** Options of `guardPort`. Times in milliseconds; `false` means off. */
export interface PortGuardOptions {
  /** The local port of the connections, 1 to 65 535, or an array of 1 to 64 ports. */
  port: number | readonly number[]
  /**
   * A peer that has fallen silent is ended within this time + 1 s. A peer is silent only while it
   * leaves something unanswered. With `arm`, the kernel probes an idle peer. Without `arm`, only
   * the server's own writes ask a peer for an answer, and the time counts from the first write that
   * the peer has not answered. 4 000 to 3 600 000.
   * @defaultValue 30 000
   */
  detectWithin?: number | undefined
  /**
   * A connection is ended, even if its client answers, if the client takes no byte for this long
   * while bytes are waiting. At least 1 000.
   * @defaultValue false
   */
  stallTimeout?: number | false | undefined
  /**
   * Sets keepalive on the listening sockets, so that connections inherit it, and on existing
   * connections. Also sets TCP_RTO_MAX_MS on a connection while its window is shut. The guard must
   * be allowed to trace the server's process (CAP_SYS_PTRACE) and see it in /proc. Keepalive
   * remains set after `stop`. Where the server has set TCP_USER_TIMEOUT, nothing is set.
   * @defaultValue false
   */
  arm?: boolean | undefined
  /**
   * Guards only clients with these addresses: IPv4, IPv6, or networks such as `10.0.0.0/8`.
   * @defaultValue all
   */
  address?: readonly string[] | undefined
  /**
   * Does not guard clients with these addresses or networks.
   * @defaultValue none
   */
  except?: readonly string[] | undefined
  /**
   * Reports connections that would be ended, ends none, and sets nothing, also with `arm`. Needs no
   * privileges.
   * @defaultValue false
   */
  dryRun?: boolean | undefined
  /**
   * Called for each connection that is ended, that would be (`dryRun`), or that the kernel refused
   * to end. In the last two cases it is called again if the client answers and falls silent again,
   * or takes bytes and stalls again.
   * If it throws, the error is rethrown on the next tick.
   */
  onClose?: ((info: PortCloseInfo) => void) | undefined
}

/** The options with all defaults filled in. */
export interface PortGuardSettings {
  readonly ports: readonly number[]
  /** For connections on which keepalive is set according to the plan. */
  readonly armedPlan: MonitorPlan
  /** For other connections, whose peers are only probed by what the server writes. */
  readonly plainPlan: MonitorPlan
  readonly stallTimeout: number | false
  readonly arm: boolean
  readonly address: readonly Network[]
  readonly except: readonly Network[]
  readonly dryRun: boolean
  readonly onClose: PortGuardOptions['onClose']
}

/** An address, or a network. */
export interface Network {
  readonly address: string
  readonly prefix: number
  readonly family: 'ipv4' | 'ipv6'
}

/** More than this is a mistake, and the kernel's filter has a limit. */
const MOST_PORTS = 64

const checkPorts: Check<number | readonly number[]> = (value, name) => {
  const ports = Array.isArray(value) ? value : [value]
  if (ports.length === 0 || ports.length > MOST_PORTS) {
    throw new TcpSseError('ERR_OPTION_VALUE', `${name} must be 1 to ${MOST_PORTS} ports`, {
      option: name,
    })
  }
  return ports.map((port) => tcpPort(port, name))
}

const checkNetworks: Check<readonly string[]> = (value, name) => {
  if (!Array.isArray(value)) throw wrongType(name, 'a list of addresses', value)
  for (const text of value) networkOf(text, name)
  return value
}

const checks: Checks<PortGuardOptions> = {
  port: checkPorts,
  detectWithin: pass,
  stallTimeout: orFalse(duration({ min: 1_000 })),
  arm: boolean,
  address: checkNetworks,
  except: checkNetworks,
  dryRun: boolean,
  onClose: callable<NonNullable<PortGuardOptions['onClose']>>(),
}

/** Checks options and fills in the defaults. */
export function portGuardSettings(options: PortGuardOptions): PortGuardSettings {
  const given = checkOptions(options, checks, 'PortGuardOptions')
  if (given.port === undefined) throw wrongType('PortGuardOptions.port', 'a TCP port', undefined)
  const { address = [], except = [] } = given
  return {
    ports: [...new Set([given.port].flat())],
    ...plansFor(given.detectWithin),
    stallTimeout: given.stallTimeout ?? false,
    arm: given.arm ?? false,
    address: address.map((text) => networkOf(text, 'PortGuardOptions.address')),
    except: except.map((text) => networkOf(text, 'PortGuardOptions.except')),
    dryRun: given.dryRun ?? false,
    onClose: given.onClose,
  }
}

/**
 * TCP_USER_TIMEOUT is in neither plan. The guard could not turn it off in time behind a shut
 * window, and it would end slow readers. Both plans have the same `silence`. Without keepalive the
 * time counts from a write of the server, so a quiet connection need not be checked more often than
 * with keepalive.
 */
function plansFor(
  detectWithin: number | undefined,
): Pick<PortGuardSettings, 'armedPlan' | 'plainPlan'> {
  const { retransmitMax } = monitorPlan(detectWithin, { heartbeat: false })
  const withoutTimeouts = monitorPlan(detectWithin, { userTimeout: false, heartbeat: false })
  // Only while a window is shut: see `retransmitMaxFor`.
  const armedPlan = { ...withoutTimeouts, retransmitMax }
  const { keepAlive, checkPace } = armedPlan
  const heartbeat = keepAlive === false ? keepAlive : keepAlive.idle
  const off = { userTimeout: false, keepAlive: false, retransmitMax: false } as const
  const plainPlan = { ...monitorPlan(detectWithin, { ...off, heartbeat }), checkPace }
  return { armedPlan, plainPlan }
}

function networkOf(text: unknown, name: string): Network {
  if (typeof text !== 'string') throw wrongType(name, 'a list of addresses', text)
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  const longest = family === 4 ? 32 : 128
  const prefix = bits === undefined ? longest : /^\d{1,3}$/.test(bits) ? Number(bits) : 999
  if (family === 0 || rest.length > 0 || prefix > longest || address.includes('%')) {
    throw new TcpSseError(
      'ERR_OPTION_VALUE',
      `${name} must be addresses or networks such as '10.0.0.0/8', not '${text}'`,
      { option: name },
    )
  }
  return { address, prefix, family: family === 4 ? 'ipv4' : 'ipv6' }
}
