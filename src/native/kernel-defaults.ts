// Settings of the system that would break the promise, whatever a connection's own options are.
import { readFileSync } from 'node:fs'

/** A setting in /proc/sys/net/ipv4, or `undefined` where there is none. */
type ReadSetting = (name: string) => number | undefined

const readSetting: ReadSetting = (name) => {
  try {
    return Number.parseInt(readFileSync(`/proc/sys/net/ipv4/${name}`, 'utf8'), 10)
  } catch {
    return undefined
  }
}

/** So many probes of a shut window may go unanswered in an outage that a plan tolerates. */
const LEAST_RETRIES = 11

/** The largest TCP_RTO_MAX_MS, and the kernel's default; ms. */
export const LONGEST_RETRANSMIT_MAX = 120_000

/** One sentence for each setting that would break the promise. */
export function defaultsThatBreakThePromise(read: ReadSetting = readSetting): readonly string[] {
  const warnings: string[] = []
  const retries = read('tcp_retries2')
  if (retries !== undefined && retries < LEAST_RETRIES) {
    warnings.push(
      `net.ipv4.tcp_retries2 is ${retries}: the kernel ends a connection behind a shut window after so many ` +
        `unanswered probes, also in an outage that detectWithin tolerates. At least ${LEAST_RETRIES} is needed.`,
    )
  }
  const retransmitMax = read('tcp_rto_max_ms')
  if (retransmitMax !== undefined && retransmitMax < LONGEST_RETRANSMIT_MAX) {
    warnings.push(
      `net.ipv4.tcp_rto_max_ms is ${retransmitMax}: with userTimeout: false the kernel ends a connection after ` +
        'tcp_retries2 timeouts that are no longer than this, also on a slow path whose peer answers.',
    )
  }
  return Object.freeze(warnings)
}
