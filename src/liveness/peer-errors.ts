// How Node spells a death that the kernel has found.

/**
 * TCP_USER_TIMEOUT and keepalive end a connection with ETIMEDOUT, unless an ICMP message has left a soft error, which the
 * kernel then reports instead (tcp_write_err: `sk_err_soft ?: ETIMEDOUT`).
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

/** Whether a connection's error means that the kernel has given its peer up. */
export function isPeerDeath(error: Error | null | undefined): boolean {
  const code = (error as NodeJS.ErrnoException | null | undefined)?.code
  return code !== undefined && CODES.has(code)
}
