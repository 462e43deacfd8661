// What the running system supports, detected by feature and not by its name.
import { addon, addonMissing, kernelKnows, nodeSetsProbes } from './binding.js'
import { defaultsThatBreakThePromise } from './kernel-defaults.js'

/** What works on this system. The documentation of each feature says what happens if it is `false`. */
export interface Capabilities {
  /**
   * Whether the native addon is loaded. With it, `inspectSocket` reports the kernel's data, the send buffer can be set,
   * and TLS and HTTP/2 connections can be reset, not only plain TCP.
   */
  readonly addon: boolean
  /** Why the addon is not loaded, in one sentence; `undefined` if it is loaded. */
  readonly reason: string | undefined
  /** `process.platform`. */
  readonly platform: NodeJS.Platform
  /**
   * Whether `detectWithin` is guaranteed. Without the kernel's data, only a heartbeat and a check of write progress
   * remain: a dead peer is detected eventually, but without a bound.
   */
  readonly detectionGuaranteed: boolean
  /** Whether TCP_USER_TIMEOUT can be set. Linux >= 2.6.37. */
  readonly userTimeout: boolean
  /**
   * Whether TCP_KEEPINTVL and TCP_KEEPCNT can be set, by the addon or by a Node version whose `setKeepAlive` accepts
   * them (24 and 26). `keepAlive.idle` works everywhere.
   */
  readonly keepAliveDetails: boolean
  /** Whether TCP_RTO_MAX_MS can be set. Linux >= 6.15. For older kernels, see `LivenessPlan.shutWindowLead`. */
  readonly retransmitMax: boolean
  /** Whether TCP_NOTSENT_LOWAT can be set. Linux >= 3.12. */
  readonly notSentLowWater: boolean
  /**
   * One sentence for each setting of this system, or of the container's network, with which `detectWithin` is not
   * guaranteed, such as a small `net.ipv4.tcp_retries2` (tcp(7)). Empty with the kernel's defaults.
   */
  readonly warnings: readonly string[]
}

/**
 * Reports what works on this system and why the rest does not. Asks the kernel once per process.
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
