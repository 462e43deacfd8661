// System settings that would break the promise, regardless of a connection's own options.
import { readFileSync } from 'node:fs'

/** Reads a setting in /proc/sys/net/ipv4; `undefined` if it does not exist. */
type ReadSetting = (name: string) => number | undefined

const readSetting: ReadSetting = (name) => {
  try {
    return Number.parseInt(readFileSync(`/proc/sys/net/ipv4/${name}`, 'utf8'), 10)
  } catch {
    return undefined
  }
}

/** The number of probes of a closed window that may go unanswered in an outage that a plan tolerates. */
const LEAST_RETRIES = 11

/** The largest TCP_RTO_MAX_MS, and the kernel's default, in milliseconds. */
export const LONGEST_RETRANSMIT_MAX = 120_000

/** One sentence for each setting that would break the promise. */
export function defaultsThatBreakThePromise(read: ReadSetting = readSetting): readonly string[] {
  const warnings: string[] = []
  const retries = read('tcp_retries2')
  if (retries !== undefined && retries < LEAST_RETRIES) {
    warnings.push(
      `net.ipv4.tcp_retries2 is ${retries}: the kernel ends a connection behind a closed window after that many ` +
        `unanswered probes, even in an outage that detectWithin tolerates. Set it to ${LEAST_RETRIES} or more.`,
    )
  }
  const retransmitMax = read('tcp_rto_max_ms')
  if (retransmitMax !== undefined && retransmitMax < LONGEST_RETRANSMIT_MAX) {
    warnings.push(
      `net.ipv4.tcp_rto_max_ms is ${retransmitMax}: with userTimeout: false the kernel ends a connection after ` +
        `tcp_retries2 timeouts of at most this length, even on a slow path whose peer answers. Set it to ${LONGEST_RETRANSMIT_MAX}.`,
    )
  }
  return Object.freeze(warnings)
}
