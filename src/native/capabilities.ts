// What the running system can do, by feature and not by its name.
import { addon, addonMissing, kernelKnows, nodeSetsProbes } from './binding.js'
import { defaultsThatBreakThePromise } from './kernel-defaults.js'

/** What works here. Everything that is `false` degrades as its documentation says. */
export interface Capabilities {
  /**
   * The native addon is loaded: `inspectSocket` has something to tell, the send buffer can be set, and connections are
   * reset on TLS and HTTP/2 too, not only on plain TCP.
   */
  readonly addon: boolean
  /** Why it is not, in one sentence; `undefined` where it is. */
  readonly reason: string | undefined
  /** `process.platform`. */
  readonly platform: NodeJS.Platform
  /**
   * Whether `detectWithin` is a promise here. Without the kernel's word only a heartbeat and a check of
   * write progress remain: a dead peer is then noticed at some time, but no bound can be given.
   */
  readonly detectionGuaranteed: boolean
  /** TCP_USER_TIMEOUT, Linux >= 2.6.37. */
  readonly userTimeout: boolean
  /**
   * TCP_KEEPINTVL and TCP_KEEPCNT: through the addon, or by a Node whose `setKeepAlive` takes them (24 and 26).
   * `keepAlive.idle` works everywhere.
   */
  readonly keepAliveDetails: boolean
  /** TCP_RTO_MAX_MS, Linux >= 6.15. Without it see `LivenessPlan.shutWindowLead`. */
  readonly retransmitMax: boolean
  /** TCP_NOTSENT_LOWAT, Linux >= 3.12. */
  readonly notSentLowWater: boolean
  /**
   * One sentence for each setting of this system (or of this container's network) that would break the promise, as a small
   * `net.ipv4.tcp_retries2` would. Empty on a system with the kernel's defaults.
   */
  readonly warnings: readonly string[]
}

/**
 * Tells what works on this system and why the rest does not. Asks the kernel once.
 *
 * @example
 * const { detectionGuaranteed, reason } = capabilities()
 * if (!detectionGuaranteed) console.warn(reason)
 */
export function capabilities(): Capabilities {
  known ??= ask()
  return known
}

let known: Capabilities | undefined

function ask(): Capabilities {
  const userTimeout = kernelKnows('TCP_USER_TIMEOUT')
  const keepAliveDetails =
    nodeSetsProbes || (kernelKnows('TCP_KEEPINTVL') && kernelKnows('TCP_KEEPCNT'))
  return Object.freeze({
    addon: addon !== undefined,
    reason: addonMissing,
    platform: process.platform,
    detectionGuaranteed: userTimeout && keepAliveDetails,
    userTimeout,
    keepAliveDetails,
    retransmitMax: kernelKnows('TCP_RTO_MAX_MS'),
    notSentLowWater: kernelKnows('TCP_NOTSENT_LOWAT'),
    warnings: defaultsThatBreakThePromise(),
  })
}
