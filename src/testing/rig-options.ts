// The options of a rig, and their checks.
import {
  boolean,
  type Check,
  type Checks,
  checkOptions,
  integer,
  wrongType,
} from '../internal/validate.js'

/** Options of `createRig`. */
export interface RigOptions {
  /**
   * `net.ipv4.tcp_rmem` of the clients, three numbers of bytes (tcp(7)), for small windows, also
   * over IPv6. @defaultValue the kernel's
   */
  tcpRmem?: string | undefined
  /** Adds IPv6. Each fault then applies to both families. @defaultValue `false` */
  ipv6?: boolean | undefined
}

/** The limits of a narrow link. */
export interface NarrowLink {
  /** Bits per second. @defaultValue 256 000 */
  rate?: number | undefined
  /** Bytes that may queue before the link. Further ones are dropped. @defaultValue 6 000 */
  queue?: number | undefined
}

const sizes: Check<string> = (value, name) => {
  if (typeof value === 'string' && /^\d+ \d+ \d+$/.test(value)) return value
  throw wrongType(name, "three numbers of bytes, as in '4096 16384 16384'", value)
}
const rigChecks: Checks<RigOptions> = { tcpRmem: sizes, ipv6: boolean }
const most = { min: 1, max: 2 ** 31 - 1 }
const narrowChecks: Checks<NarrowLink> = {
  rate: integer('bits per second', most),
  queue: integer('bytes', most),
}

/** @throws {TcpSseError} `ERR_OPTION_*` */
export function checkRigOptions(options: RigOptions): RigOptions {
  return checkOptions(options, rigChecks, 'RigOptions')
}

/** @throws {TcpSseError} `ERR_OPTION_*` */
export function checkNarrowLink(options: NarrowLink): NarrowLink {
  return checkOptions(options, narrowChecks, 'NarrowLink')
}
