// The rig's addresses and routes, as lines for `ip -batch`.
//
//   server 10.77.0.2 --- 10.77.0.1 router 10.79.0.1 --- 10.79.0.2 clients (and all of 10.78.0.0/16)
//                                         10.80.0.1 -narrow- 10.80.0.2
//
// The same with IPv6, below fd77::/16.

import { oneOf, wrongType, wrongValue } from '../internal/validate.js'

/** When a fault took effect: between these times, in milliseconds as of `Date.now()`. */
export interface Fault {
  /** The fault did not take effect before this time. */
  readonly startedAt: number
  /** The fault was in effect at this time. */
  readonly doneAt: number
}

/** Clients by number, or all of them. */
export type Clients = readonly number[] | 'all'

/** The faults that a path can have. */
export interface Path {
  cut(clients: Clients): Fault
  heal(clients: Clients): Fault
}

/** `towards` the clients, `from` them. */
export type Direction = 'towards' | 'from'

/** One address family. */
export interface Family {
  /** Options of `ip`, which does not guess the family of every line. */
  readonly options: readonly string[]
  readonly server: string
  readonly serverLength: number
  /**
   * The router's address on the server's side, and both ends on the clients' side and the narrow
   * side.
   */
  readonly routerToServer: string
  readonly routerToClients: string
  readonly clientsGateway: string
  readonly routerNarrow: string
  readonly clientsNarrow: string
  readonly linkLength: number
  /**
   * All clients, and halves of them. The halves are more specific than the router's own route, so
   * they take precedence.
   */
  readonly clients: string
  readonly halves: readonly string[]
  readonly hostLength: number
  client(index: number): string
}

export const IPV4: Family = {
  options: ['-4'],
  server: '10.77.0.2',
  serverLength: 24,
  routerToServer: '10.77.0.1',
  routerToClients: '10.79.0.1',
  clientsGateway: '10.79.0.2',
  routerNarrow: '10.80.0.1',
  clientsNarrow: '10.80.0.2',
  linkLength: 24,
  clients: '10.78.0.0/16',
  halves: ['10.78.0.0/17', '10.78.128.0/17'],
  hostLength: 32,
  client: (index) => `10.78.${1 + Math.floor(index / 250)}.${1 + (index % 250)}`,
}

export const IPV6: Family = {
  options: ['-6'],
  server: 'fd77:77::2',
  serverLength: 64,
  routerToServer: 'fd77:77::1',
  routerToClients: 'fd77:79::1',
  clientsGateway: 'fd77:79::2',
  routerNarrow: 'fd77:80::1',
  clientsNarrow: 'fd77:80::2',
  linkLength: 64,
  clients: 'fd77:78::/64',
  halves: ['fd77:78::/65', 'fd77:78:0:0:8000::/65'],
  hostLength: 128,
  client: (index) => `fd77:78::${(index + 1).toString(16)}`,
}

/** Numbers for which both families have an address. The rest of 10.78.0.0/16 is unused. */
const MOST_CLIENTS = 250 * 250

/** @throws {TcpSseError} `ERR_OPTION_VALUE` for a number that no client can have */
export function checkClient(index: unknown): asserts index is number {
  if (Number.isInteger(index) && Number(index) >= 0 && Number(index) < MOST_CLIENTS) return
  throw wrongValue('client', `a number from 0 to ${MOST_CLIENTS - 1}`, index)
}

/** A cable between the router and another namespace, both ends up. */
export function linkLines(near: string, far: string, farNamespace: string): string[] {
  return [
    `link add ${near} type veth peer name ${far} netns ${farNamespace}`,
    `link set ${near} up`,
  ]
}

/** Adds an address to a device. Without `nodad`, IPv6 does not use it for a second. */
export function addressLine({ options }: Family, address: string, length: number, dev: string) {
  const nodad = options.includes('-6') ? ' nodad' : ''
  return `addr add ${address}/${length} dev ${dev}${nodad}`
}

/** Lines that start or end a fault. */
export function faultLines(
  family: Family,
  clients: Clients,
  verb: 'add' | 'del',
  type: 'blackhole' | 'unreachable' | 'prohibit',
  directions: readonly Direction[],
): string[] {
  return rangesOf(family, clients).flatMap((range) =>
    directions.map((direction) =>
      direction === 'towards'
        ? `route ${verb} ${type} ${range} metric 1`
        : `rule ${verb} from ${range} blackhole`,
    ),
  )
}

/**
 * Lines that start or stop routing clients over the narrow link. A fault has a smaller metric, so
 * it takes precedence.
 */
export function narrowLines(family: Family, clients: Clients, verb: 'add' | 'del'): string[] {
  return rangesOf(family, clients).map(
    (range) => `route ${verb} ${range} via ${family.clientsNarrow} dev narrow metric 2`,
  )
}

/** How packets to clients can be refused. */
export const checkRefusal = oneOf(['unreachable', 'prohibit'])

function rangesOf(family: Family, clients: Clients): readonly string[] {
  if (clients === 'all') return family.halves
  if (!Array.isArray(clients)) throw wrongType('clients', "an array of numbers or 'all'", clients)
  for (const index of clients) checkClient(index)
  return clients.map((index) => `${family.client(index)}/${family.hostLength}`)
}
