// Links, addresses and routes between the rig's namespaces.
import type { Namespace } from './namespace.js'
import { addressLine, type Family, IPV6, linkLines } from './routes.js'

/** The three namespaces. */
export interface Spaces {
  readonly server: Namespace
  readonly router: Namespace
  readonly clients: Namespace
}

/** Connects them. */
export function wire({ server, router, clients }: Spaces, families: readonly Family[]): void {
  router.ip([
    ...linkLines('server', 'eth0', server.id),
    ...linkLines('clients', 'eth0', clients.id),
  ])
  for (const each of [server, clients]) each.ip(['link set lo up', 'link set eth0 up'])
  router.sysctl('net/ipv4/ip_forward', '1')
  if (families.includes(IPV6)) {
    router.sysctl('net/ipv6/conf/all/forwarding', '1')
    // A local route makes an IPv6 address reachable, but does not allow binding to it.
    clients.sysctl('net/ipv6/ip_nonlocal_bind', '1')
  }
  for (const family of families) address({ server, router, clients }, family)
}

function address({ server, router, clients }: Spaces, family: Family): void {
  const { options, serverLength, linkLength, routerToServer, routerToClients } = family
  server.ip(
    [
      addressLine(family, family.server, serverLength, 'eth0'),
      `route add default via ${routerToServer}`,
    ],
    options,
  )
  router.ip(
    [
      addressLine(family, routerToServer, serverLength, 'server'),
      addressLine(family, routerToClients, linkLength, 'clients'),
      `route add ${family.clients} via ${family.clientsGateway} metric 9`,
    ],
    options,
  )
  clients.ip(
    [
      addressLine(family, family.clientsGateway, linkLength, 'eth0'),
      `route add default via ${routerToClients}`,
      // All addresses of the range belong to the clients.
      `route add local ${family.clients} dev lo`,
    ],
    options,
  )
}

/** Adds a second link between router and clients, behind a token bucket. */
export function addNarrowLink(
  { router, clients }: Spaces,
  families: readonly Family[],
  rate: number,
  queue: number,
): void {
  router.ip(linkLines('narrow', 'eth1', clients.id))
  clients.ip(['link set eth1 up'])
  for (const family of families) {
    const { options, routerNarrow, clientsNarrow, linkLength } = family
    router.ip([addressLine(family, routerNarrow, linkLength, 'narrow')], options)
    clients.ip([addressLine(family, clientsNarrow, linkLength, 'eth1')], options)
  }
  // The bucket holds one full packet. The kernel splits larger ones.
  const limits = ['rate', `${rate}bit`, 'burst', '1600', 'limit', String(queue)]
  router.run(['tc', 'qdisc', 'add', 'dev', 'narrow', 'root', 'tbf', ...limits])
}
