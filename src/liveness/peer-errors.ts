// Node's error codes for a peer that the kernel has given up on.

/**
 * TCP_USER_TIMEOUT and keepalive end a connection with ETIMEDOUT. If an ICMP message has left a soft error, the kernel
 * reports that error instead (tcp_write_err: `sk_err_soft ?: ETIMEDOUT`).
 */
const CODES = new Set([
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENETDOWN',
  'ECONNREFUSED',
  'ECONNABORTED',
])

/** Whether a connection's error means that the kernel has given up on its peer. */
export function isPeerDeath(error: Error | null | undefined): boolean {
  const code = (error as NodeJS.ErrnoException | null | undefined)?.code
  return code !== undefined && CODES.has(code)
}
